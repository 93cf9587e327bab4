"""The command line: ``collocode solve``, ``simulate``, ``doctor``, ``schemes``.

No mathematics lives here; a command loads, calls the library, shows and writes.
"""

from ..solvers.processes import prefer_one_thread

prefer_one_thread()
