"""Solvers: adapters from the NLP record to IPOPT, one file an interface."""
