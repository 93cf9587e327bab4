r"""Functions of time that weights and parameters are combined from, :math:`\theta(t)=\sum_j c_j\varphi_j(t)`.

One protocol, `Basis`; the kinds are `Constant`, `Monomial`, `Legendre`, `Chebyshev`, `Fourier`
(global) and `PiecewiseConstant`, `BSpline` (local: alive on a few pieces of a mesh).
"""

from .base import Basis as Basis
from .catalogue import BASIS as BASIS
from .catalogue import basis as basis
from .catalogue import basis_from_dict as basis_from_dict
from .catalogue import basis_names as basis_names
from .catalogue import basis_to_dict as basis_to_dict
from .global_bases import Chebyshev as Chebyshev
from .global_bases import Constant as Constant
from .global_bases import Fourier as Fourier
from .global_bases import Legendre as Legendre
from .global_bases import Monomial as Monomial
from .piecewise import BSpline as BSpline
from .piecewise import PiecewiseConstant as PiecewiseConstant
