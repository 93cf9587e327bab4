"""Trainers of layered networks, the record they return, and their limits."""
