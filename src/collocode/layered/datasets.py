r"""Small data sets with a training and a validation part.

`donut1d`, `donut2d`, `spiral2d` and `squares2d` are those of Benning, Celledoni, Ehrhardt, Owren &
Schönlieb, *Deep learning as optimal control problems* (J. Comput. Dyn. 6, 2019); the real ones come
from scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..checks import check_choice, installed
from ..errors import InputError
from ..numerics import Array, Index
from ..numerics.random import generator
from .samples import Samples

Pair = tuple[Samples, Samples]
_NOISE = {"donut": 0.1, "spiral": 0.05, "squares": 0.1}


def donut1d(n: int = 1000, seed: int = 0) -> Pair:
    """Two classes on [-1, 1] with densities ∝ exp(−r²/0.02) and ∝ exp(−(r−0.5)²/0.02), r = |x|."""
    return _pair(lambda rng: _donut(rng, n, 1), seed)


def donut2d(n: int = 1000, seed: int = 0) -> Pair:
    """Return a disc in a ring: the densities of `donut1d` on [-1, 1]², r = ‖x‖.

    Parameters
    ----------
    n : samples in each part, half of either class; normal noise of 0.1 is added.
    seed : of the random numbers; the validation part has its own.

    Returns
    -------
    Training and validation samples.

    Examples
    --------
    >>> donut2d(n=100)
    (Samples(100 rows, 2 features, 2 classes), Samples(100 rows, 2 features, 2 classes))
    """
    return _pair(lambda rng: _donut(rng, n, 2), seed)


def spiral2d(n: int = 1000, seed: int = 0) -> Pair:
    """Two arms, radius 0.1 ... 1, angle 0.1 ... 2π, one turned by π; normal noise of 0.05."""

    def make(rng: np.random.Generator) -> tuple[Array, Index]:
        half, labels = _halves(n)
        arms = []
        for count, turn in zip(half, (0.0, np.pi), strict=True):
            r, angle = np.linspace(0.1, 1.0, count), np.linspace(0.1, 2.0 * np.pi, count) + turn
            arms.append(np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1))
        x = np.concatenate(arms)
        return x + _NOISE["spiral"] * rng.standard_normal(x.shape), labels

    return _pair(make, seed)


def squares2d(n: int = 1000, seed: int = 0) -> Pair:
    """Uniform in [-0.7, 0.7]², class 1 where x₁x₂ > 0; then normal noise of 0.1."""

    def make(rng: np.random.Generator) -> tuple[Array, Index]:
        _halves(n)
        x = rng.uniform(-0.7, 0.7, (n, 2))
        labels = (x[:, 0] * x[:, 1] > 0.0).astype(np.intp)
        return x + _NOISE["squares"] * rng.standard_normal(x.shape), labels

    return _pair(make, seed)


def breast_cancer(seed: int = 0) -> Pair:
    """Return 569 tumours by 30 features, two classes; 398 to train with, standardised."""
    return _real("load_breast_cancer", seed, classes=True)


def digits(seed: int = 0) -> Pair:
    """Return 1797 images of 8 × 8 pixels, ten classes; 70 % to train with."""
    return _real("load_digits", seed, classes=True)


def diabetes(seed: int = 0) -> Pair:
    """Return 442 patients by 10 features and the disease's progression; 70 % to train with."""
    return _real("load_diabetes", seed, classes=False)


DATASETS: dict[str, Callable[..., Pair]] = {
    "donut1d": donut1d,
    "donut2d": donut2d,
    "spiral2d": spiral2d,
    "squares2d": squares2d,
    "breast_cancer": breast_cancer,
    "digits": digits,
    "diabetes": diabetes,
}


def dataset(name: str, seed: int = 0) -> Pair:
    """Return training and validation samples of the data set called ``name``.

    Raises
    ------
    InputError
        Unknown name.
    MissingDependency
        A real data set without scikit-learn.
    """
    check_choice("data set", name, DATASETS)
    return DATASETS[name](seed=seed)


def _pair(make: Callable[[np.random.Generator], tuple[Array, Index]], seed: int) -> Pair:
    first, second = (Samples(*make(generator(seed, part))) for part in (0, 1))
    return first, second


def _halves(n: int) -> tuple[tuple[int, int], Index]:
    if n < 2:
        raise InputError(f"two classes need at least two samples, not {n}.")
    sizes = (n - n // 2, n // 2)
    return sizes, np.repeat(np.array([0, 1], dtype=np.intp), sizes)


def _donut(rng: np.random.Generator, n: int, dimension: int) -> tuple[Array, Index]:
    (inner, outer), labels = _halves(n)
    x = np.concatenate([_ring(rng, inner, 0.0, dimension), _ring(rng, outer, 0.5, dimension)])
    return x + _NOISE["donut"] * rng.standard_normal(x.shape), labels


def _ring(rng: np.random.Generator, count: int, radius: float, dimension: int) -> Array:
    """Draw from ∝ exp(−(‖x‖−radius)²/0.02) on the cube by rejection."""
    found = np.empty((0, dimension))
    while len(found) < count:
        x = rng.uniform(-1.0, 1.0, (50 * count, dimension))
        density = np.exp(-((np.linalg.norm(x, axis=1) - radius) ** 2) / 0.02)
        found = np.concatenate([found, x[rng.uniform(size=len(x)) < density]])
    return found[:count]


def _real(loader: str, seed: int, classes: bool) -> Pair:
    with installed("scikit-learn, which brings this data set,", "test"):
        from sklearn import datasets
    X, y = getattr(datasets, loader)(return_X_y=True)
    order = generator(seed).permutation(len(X))
    train, validation = np.split(order, [int(0.7 * len(X))])
    X = _standardised(np.asarray(X, dtype=float), train)
    # targets are not centred, so that relative errors keep their meaning
    Y = np.asarray(y, dtype=np.intp) if classes else np.asarray(y)[:, None] / np.std(y[train])
    return Samples(X[train], Y[train]), Samples(X[validation], Y[validation])


def _standardised(table: Array, train: Index) -> Array:
    """Return columns less their training mean, by their training deviation (pixels may have none)."""
    spread = table[train].std(axis=0)
    return np.asarray((table - table[train].mean(axis=0)) / np.where(spread > 0.0, spread, 1.0))
