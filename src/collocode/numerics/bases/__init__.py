r"""Functions of time that weights and parameters are combined from, :math:`\theta(t)=\sum_j c_j\varphi_j(t)`.

One protocol, `Basis`; the kinds are `Constant`, `Monomial`, `Legendre`, `Chebyshev`, `Fourier`
(alive everywhere) and `PiecewiseConstant`, `BSpline` (alive on a few pieces of a mesh).
"""

from .base import Basis as Basis
from .catalogue import basis as basis
from .catalogue import basis_names as basis_names
from .catalogue import describe as describe
from .catalogue import described as described
from .everywhere import Chebyshev as Chebyshev
from .everywhere import Constant as Constant
from .everywhere import Fourier as Fourier
from .everywhere import Legendre as Legendre
from .everywhere import Monomial as Monomial
from .piecewise import BSpline as BSpline
from .piecewise import PiecewiseConstant as PiecewiseConstant
