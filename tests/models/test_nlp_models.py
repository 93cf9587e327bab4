"""The plain nonlinear programs of COPS: published optima within 1e-4."""

from importlib import import_module

import numpy as np
import pytest

import collocode as cc

PUBLISHED = {  # E. Dolan, J. Moré, T. Munson, ANL/MCS-TM-273, 2004; also MadNLP's COPSBenchmark.jl
    "chain": 5.06891,
    "camshape": 4.2791,
    "elec": 1055.18,
    "bearing": -0.15482,
    "torsion": -0.418087,
    "minimal_surface": 2.51488,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_optimum(name):
    program = import_module(f"models.nlp.{name}").problem()
    found = cc.solve(program)
    assert found.success
    assert found.objective == pytest.approx(PUBLISHED[name], rel=1e-4)
    assert program.kkt_residual(found.result.x, found.result.lam_g, found.result.lam_x) < 1e-4


def test_the_polygon_is_at_least_as_large_as_published():
    found = cc.solve(import_module("models.nlp.polygon").problem())
    assert found.success
    assert 0.674981 - 1e-6 <= found.objective <= np.pi / 4


def test_the_chain_is_the_catenary():
    """x = c cosh((t − m)/c) − λ through both ends with length 4, by its closed form."""
    from scipy.optimize import fsolve

    a, b, length = 1.0, 3.0, 4.0

    def residuals(v):
        c, m, shift = v
        ends = c * np.cosh((0 - m) / c) - shift - a, c * np.cosh((1 - m) / c) - shift - b
        return [*ends, c * (np.sinh((1 - m) / c) + np.sinh(m / c)) - length]

    c, m, shift = fsolve(residuals, [0.2, 0.4, -0.5])
    found = cc.solve(import_module("models.nlp.chain").problem(800))
    t = np.linspace(0.0, 1.0, 801)
    np.testing.assert_allclose(found["x"], c * np.cosh((t - m) / c) - shift, atol=6e-3)


def test_finite_elements_instead_of_the_collections_weights():
    coarse, fine = (
        cc.solve(import_module("models.nlp.bearing").problem(n, as_published=False)).objective
        for n in (25, 50)
    )
    assert fine == pytest.approx(-0.180487, rel=1e-4)
    assert abs(fine - coarse) < 1e-3  # the limit is close: the published value is not of this kind
