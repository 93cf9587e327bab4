"""Identification: from a problem to a solution in one call."""
