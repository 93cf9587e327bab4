"""Optimization over trained ReLU networks.

`embed` writes a network into a Pyomo model, `smoothed` evaluates it with rounded kinks for IPOPT,
`maximize` and `minimize` do the whole job with HiGHS,
`interval_bounds` and `lp_bounds` prove the ranges that the encodings need, `scaled` changes the
variables; `train` makes networks that are cheap to optimize over, `analyse` tells how cheap.  Clipped
units, bounds by optimization, the scaling and the indicators are those of Plate, Hahn, Klimek, Ganzer,
Sundmacher & Sager, *An analysis of optimization problems involving ReLU neural networks*, arXiv 2502.03016.
"""

from .analyse import Analysis as Analysis
from .analyse import BoundFacts as BoundFacts
from .analyse import RegionCounts as RegionCounts
from .analyse import SurrogateError as SurrogateError
from .analyse import analyse as analyse
from .analyse import count_regions as count_regions
from .analyse import surrogate_error as surrogate_error
from .bounds import Bounds as Bounds
from .bounds import interval_bounds as interval_bounds
from .bounds import scaled as scaled
from .bounds import scaled_bounds as scaled_bounds
from .constraints import sampled_range as sampled_range
from .embed import Embedded as Embedded
from .embed import embed as embed
from .embed import smoothed as smoothed
from .encodings import ENCODINGS as ENCODINGS
from .highs import MipProgress as MipProgress
from .mip import EncodingSummary as EncodingSummary
from .mip_bounds import mip_bounds as mip_bounds
from .network import ReluNetwork as ReluNetwork
from .optimise import maximize as maximize
from .optimise import minimize as minimize
from .problem import OptimizationSettings as OptimizationSettings
from .problem import OptimumResult as OptimumResult
from .proved import proved_bounds as proved_bounds
from .regions import PlanarRegions as PlanarRegions
from .regions import planar_regions as planar_regions
from .regions import sampled_regions as sampled_regions
from .regions import segment_breaks as segment_breaks
from .splitting import split_bounds as split_bounds
from .surrogate import Surrogate as Surrogate
from .surrogate import SurrogateSamples as SurrogateSamples
from .tighten import lp_bounds as lp_bounds
from .train import TrainingHistory as TrainingHistory
from .train import TrainingResult as TrainingResult
from .train import TrainingSettings as TrainingSettings
from .train import train as train
