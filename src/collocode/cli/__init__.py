"""The command line: ``collocode solve``, ``simulate``, ``doctor``, ``schemes``.

No mathematics lives here; a command loads, calls the library, shows and writes.
"""
