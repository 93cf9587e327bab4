"""Collocode: simultaneous identification and optimisation of models with unknown dynamics.

>>> import collocode as cc
>>> problem = cc.Problem(cc.NeuralODE(cc.MLP((2, 32, 2))), cc.read_csv("van_der_pol.csv"))
... # doctest: +SKIP
>>> solution = cc.fit(problem)  # doctest: +SKIP

A `Problem` says what is known and measured; `discretize` writes it as one NLP on a mesh by a
collocation scheme; `solve` gives it to IPOPT; the `Solution` simulates, predicts, scores and saves.
`fit` does all of it.
"""

from importlib.metadata import version as _version

import lazy_loader as _lazy

# the public names and their homes are listed once, in __init__.pyi
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)

__version__ = _version("collocode")
