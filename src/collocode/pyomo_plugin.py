"""``import collocode.pyomo_plugin`` gives Pyomo the solver ``collocode_ipopt``; see its class.

>>> import collocode.pyomo_plugin  # doctest: +SKIP
>>> pyo.SolverFactory("collocode_ipopt").solve(model, tee=True)  # doctest: +SKIP

It is a module of its own because ``import collocode`` must not import Pyomo.
"""

from .solvers.pyomo_plugin import NAME, ipopt_version, register

CollocodeIpopt = register()

__all__ = ["NAME", "CollocodeIpopt", "ipopt_version", "register"]
