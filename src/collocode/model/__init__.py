"""The model: data, networks, dynamics, losses, problems.  No grid and no solver in sight."""
