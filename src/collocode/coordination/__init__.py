"""Batches of data with one network for all: Newton's method, and consensus ADMM."""
