"""Results: statuses, trained models, solutions, simulation, scores, files."""
