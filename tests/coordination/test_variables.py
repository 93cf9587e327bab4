"""What the batches agree on: names, order, units, bounds."""

from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode.coordination.subproblem import FitSettings, Subproblem
from collocode.coordination.variables import ConsensusVariables, copied_columns
from tests.coordination.problems import offsets, pushed, restricted, waves


def made(problem, batches, boundary="shared", mesh=8):
    nlp = cc.discretize(problem, mesh=mesh)
    meshes = [part.mesh for part in nlp.layout.experiments]
    parts = cc.Partition(batches, boundary=boundary).cut(problem, meshes)
    return nlp, parts, ConsensusVariables.of(nlp, parts)


def test_names_in_order():
    _, _, variables = made(offsets(runs=2), 3)
    # run 1 is cut: its boundary state and its offset are shared; run 2 keeps its offset
    assert variables.names == ("x[run 1;1]", "c[run 1]", "k")
    assert (len(variables), variables.shared, variables.weights) == (3, 1, 0)
    _, parts, variables = made(waves(), 3)
    assert variables.names == ("x[run;1]", "x[run;2]", "f.W1[0,0]", "f.W1[0,1]", "f.b1[0]")
    assert (variables.shared, variables.weights) == (0, 3)
    np.testing.assert_array_equal(variables.copies(parts[0]), [0, 2, 3, 4])
    np.testing.assert_array_equal(variables.copies(parts[1]), [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(variables.copies(parts[2]), [1, 2, 3, 4])
    assert made(waves(), 3, "free")[2].names == variables.names[2:]


@pytest.mark.parametrize("make", [waves, pushed, offsets])
@pytest.mark.parametrize("batches", [2, 5])
def test_copies_are_columns_of_the_same_meaning(make, batches):
    """Read at one point of the whole problem, the copies of an entry are equal in all batches."""
    nlp, parts, variables = made(make(), batches)
    x = np.random.default_rng(0).standard_normal(nlp.columns)
    found = {}
    for batch in parts:
        sub = Subproblem(batch, FitSettings(scheme=nlp.scheme))
        columns, scale = copied_columns(batch, sub.nlp)
        inside = restricted(nlp, x, batch, sub)[columns]
        np.testing.assert_allclose(scale, variables.scale[variables.copies(batch)])
        for k, value, column in zip(variables.copies(batch), inside, columns, strict=True):
            name = variables.names[k]
            assert found.setdefault(name, value) == value
            assert sub.nlp.column_names[column].split("[")[0] == name.split("[")[0]
    assert set(found) == set(variables.names)
    known = dict(zip(nlp.column_names, x, strict=True))
    for name, value in found.items():
        if ";" not in name:
            assert known[name] == value


def test_units_and_bounds():
    problem = pushed(bounds={"x": (-3.0, 3.0)})
    a, b = problem.dynamics.parameters
    problem = replace(
        problem, dynamics=replace(problem.dynamics, parameters=[replace(a, start=4.0), b])
    )
    _, _, variables = made(problem, 2)
    assert variables.names == ("x[run;1]", "a", "b")
    np.testing.assert_allclose(variables.scale, 0.1 * np.array([problem.state_scale[0], 4.0, 0.5]))
    np.testing.assert_array_equal(variables.lower, [-3.0, -5.0, -np.inf])
    np.testing.assert_array_equal(variables.upper, [3.0, 5.0, np.inf])
    assert (made(waves(), 2)[2].scale[1:] == 1.0).all()  # weights are as they are


def test_coefficients_of_what_varies_in_time():
    problem = offsets(runs=1)
    k, c = problem.dynamics.parameters
    basis = cc.Legendre(1, (0.0, 2.0))
    dynamics = replace(
        problem.dynamics, parameters=[replace(k, basis=basis), replace(c, basis=basis)]
    )
    _, parts, variables = made(replace(problem, dynamics=dynamics), 2)
    assert variables.names == ("x[run 1;1]", "c.P0[run 1]", "c.P1[run 1]", "k.P0", "k.P1")
    np.testing.assert_array_equal(variables.copies(parts[0]), range(5))
