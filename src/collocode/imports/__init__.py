"""Adapters from files of other communities: SBML models and PEtab estimation problems."""
