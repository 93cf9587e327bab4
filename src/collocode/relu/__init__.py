"""Optimization over trained ReLU networks.

`embed` writes a network into a Pyomo model, `maximize` and `minimize` do the whole job with HiGHS,
`interval_bounds` and `lp_bounds` prove the ranges that the encodings need, `scaled` changes the
variables; `train` makes networks that are cheap to optimize over, `analyse` tells how cheap.
"""

from .analyse import Analysis, analyse
from .bounds import Bounds, interval_bounds, sampled_range
from .embed import Embedded, embed
from .encodings import ENCODINGS
from .highs import MipProgress
from .indicators import BoundFacts, RegionCounts, SurrogateError
from .network import ReluNetwork
from .optimise import maximize, minimize
from .proof import proved_bounds
from .record import Record
from .regions import PlanarRegions, planar_regions, sampled_regions, segment_breaks
from .result import OptimumResult
from .scaling import scaled, scaled_bounds
from .split import split_bounds
from .surrogate import Samples, Surrogate
from .tighten import lp_bounds
from .train import History, Trained, Training, train

__all__ = [
    "ENCODINGS",
    "Analysis",
    "BoundFacts",
    "Bounds",
    "Embedded",
    "History",
    "MipProgress",
    "OptimumResult",
    "PlanarRegions",
    "Record",
    "RegionCounts",
    "ReluNetwork",
    "Samples",
    "Surrogate",
    "SurrogateError",
    "Trained",
    "Training",
    "analyse",
    "embed",
    "interval_bounds",
    "lp_bounds",
    "maximize",
    "minimize",
    "planar_regions",
    "proved_bounds",
    "sampled_range",
    "sampled_regions",
    "scaled",
    "scaled_bounds",
    "segment_breaks",
    "split_bounds",
    "train",
]
