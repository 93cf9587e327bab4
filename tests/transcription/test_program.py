"""`Program`: what is cached belongs to what it was made from, and the structure is that of J and H."""

from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc
from collocode.layered import LayeredNetwork, Objective, layered_program, squares2d, train
from collocode.transcription.structure import Chain, ChainStructure
from tests.problems import decay, van_der_pol_data, van_der_pol_grey


def oscillation(amplitude, n=20):
    """x' = v, v' = −k x with k = 1, its exact solution measured."""
    t = np.linspace(0.0, 3.0, n)
    data = cc.Experiment(t, amplitude * np.column_stack([np.cos(t), -np.sin(t)]), ("x", "v"))
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, -p.k * x.x], parameters=[cc.Parameter("k", 0.7)]
    )
    return cc.Problem(dynamics, data)


# ---- the cache belongs to what it was made from ------------------------------------------------


def test_another_scale_is_never_solved_with_the_first_ones_functions():
    nlp = cc.discretize(oscillation(4.0), mesh=8)
    first = cc.solve(nlp)
    wide = replace(nlp, column_scale=nlp.column_scale * 64.0, row_scale=nlp.row_scale / 8.0)
    for program in (wide, nlp, wide):
        found = cc.solve(program)
        assert found.success
        np.testing.assert_allclose(found.result.x, first.result.x, rtol=1e-6, atol=1e-7)


def test_one_solver_serves_problems_of_other_amplitudes():
    """Amplitudes 4 and 32 have other scales, and once gave 17322 instead of 0, 'optimal'."""
    nlp = cc.discretize(oscillation(4.0), mesh=8)
    large = cc.discretize(oscillation(32.0), mesh=8, like=nlp)
    assert large.functions is nlp.functions
    assert (large.column_scale != nlp.column_scale).any()
    solver = cc.make_solver(nlp)
    alone = cc.solve(cc.discretize(oscillation(32.0), mesh=8))
    for program, k in ((nlp, 1.0), (large, 1.0), (nlp, 1.0)):
        found = cc.solve_with(solver, program)
        assert found.result.objective < 1e-8
        assert found.parameters["k"] == pytest.approx(k, rel=1e-4)
    shared = cc.solve_with(solver, large)
    np.testing.assert_allclose(shared.result.x, alone.result.x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("interface", ["casadi", "cyipopt"])
def test_a_solver_that_is_given_other_functions_uses_them(interface):
    if interface == "cyipopt":
        pytest.importorskip("cyipopt")
    one, other = (cc.discretize(oscillation(a, n), mesh=8) for a, n in ((4.0, 20), (2.0, 30)))
    solver = cc.make_solver(one, interface)
    np.testing.assert_allclose(
        cc.solve_with(solver, other).result.x, cc.solve(other, interface).result.x, atol=1e-12
    )


def test_a_solver_of_another_size_is_refused():
    solver = cc.make_solver(cc.discretize(decay(), mesh=4))
    with pytest.raises(cc.InputError, match="built for 14 variables and 12 constraints; build"):
        cc.solve_with(solver, cc.discretize(decay(), mesh=5))


CHANGES = {
    "times": lambda e: {"times": e.times * 0.999},
    "missing value": lambda e: {"values": np.where(np.arange(e.samples)[:, None] == 3, np.nan, e.values)},
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_functions_of_other_data_layouts_are_not_shared(change):
    """What is a constant of the functions has to agree: steps, times, interpolation."""
    problem = oscillation(4.0)
    nlp = cc.discretize(problem, mesh=8)
    experiment = replace(problem.experiments[0], **CHANGES[change](problem.experiments[0]))
    other = replace(problem, experiments=(experiment,))
    with pytest.raises(cc.InputError, match="another structure"):
        cc.discretize(other, mesh=8, like=nlp)


def test_functions_of_other_dynamics_are_not_shared():
    nlp, problem = cc.discretize(oscillation(4.0), mesh=8), oscillation(4.0)
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, -p.k * x.x**3], parameters=[cc.Parameter("k", 0.7)]
    )
    with pytest.raises(cc.InputError, match="another structure"):
        cc.discretize(replace(problem, dynamics=dynamics), mesh=8, like=nlp)


# ---- structure -----------------------------------------------------------------------------------


def network():
    return LayeredNetwork(2, 1, 3, cc.Mesh.uniform(0, 2, 3), lift="pad")


def layered():
    samples, _ = squares2d(n=12)
    objective = Objective(network(), samples)
    return layered_program(objective, network().initial(0))


def constrained():
    """Two experiments of different lengths, a parameter of each, a path constraint."""
    t = np.linspace(0.0, 3.0, 15)
    data = [
        cc.Experiment(s * t, np.column_stack([np.cos(t), -np.sin(t)]), ("x", "v"), name=name)
        for s, name in ((1.0, "a"), (0.5, "b"))
    ]
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, -p.k * x.x - p.d * x.v],
        parameters=[cc.Parameter("k", 0.7, per_experiment=True), cc.Parameter("d", 0.1)],
    )
    energy = cc.PathConstraint("energy", lambda t, x, u, p, nn: x.x**2 + x.v**2, upper=9.0)
    return cc.Problem(dynamics, data, constraints=[energy])


@pytest.mark.parametrize("scheme", cc.scheme_names())
def test_the_chains_hold_all_nonzeros_of_every_scheme(scheme):
    nlp = cc.discretize(constrained(), scheme, mesh=None if "cheb" in scheme else 4)
    assert nlp.structure.exceptions(nlp.functions) == []
    covered = [c for chain in nlp.structure.chains for c in (*chain.links.flat, *chain.inner.flat)]
    assert sorted([*covered, *nlp.structure.border]) == list(range(nlp.columns))
    rows = [r for chain in nlp.structure.chains for r in chain.rows.flat if r >= 0]
    assert sorted([*rows, *nlp.structure.border_rows]) == list(range(nlp.rows))


def test_a_layered_network_is_a_chain_per_sample():
    program = layered()
    assert len(program.structure.chains) == 12
    assert program.structure.exceptions(program.functions) == []


def test_what_does_not_fit_is_named():
    nlp = cc.discretize(decay(), mesh=4)
    chain = nlp.structure.chains[0]
    wrong = ChainStructure((Chain(chain.links, chain.inner, chain.rows[::-1]),), nlp.structure.border,
                           nlp.structure.border_rows)  # fmt: skip
    assert ("jacobian", 0, 0) in wrong.exceptions(nlp.functions)


# ---- other kinds of programs -----------------------------------------------------------------------


def test_a_layered_network_goes_through_every_solver_and_exporter(tmp_path):
    pytest.importorskip("pyomo")
    program = layered()
    found = cc.solve(program, options={"max_iter": 200})
    cc.write_nl(program, tmp_path / "network.nl")
    read = cc.read_nl(tmp_path / "network.nl")
    assert set(read.row_names) == set(program.row_names)
    assert cc.solve_nl(read, {"max_iter": 200}).objective == pytest.approx(
        found.objective, rel=1e-5
    )
    model = cc.to_pyomo(program).model
    assert len(model.layer) == 12 * 3 * 3
    stopped = cc.diagnose(
        cc.solve(program.with_start(program.start + 0.1), options={"max_iter": 0})
    )
    assert set(stopped.violated["equation"]) <= {"initial", "layer"}
    pytest.importorskip("cyipopt")
    assert cc.solve(program, "cyipopt", {"max_iter": 200}).objective == pytest.approx(
        found.objective, rel=1e-8
    )


def test_kinks_are_asked_of_the_program():
    assert replace(layered(), kinks=()).kinks == ()
    with pytest.raises(cc.InputError, match="the valve sticks, whose kinks"):
        cc.solve(replace(layered(), kinks=("the valve sticks",)))


# ---- the shape is right for what comes next ------------------------------------------------------

TAU = np.array([(4 - 6**0.5) / 10, (4 + 6**0.5) / 10, 1.0])  # Radau IIA of three stages


def radau():
    nodes = np.append(0.0, TAU)
    basis = np.linalg.inv(np.vander(nodes, increasing=True))
    powers = np.arange(1, 4)
    return np.c_[np.zeros(3), powers * TAU[:, None] ** (powers - 1)] @ basis


def transcribe(builder, name, f, elements, step, states, inputs=(), shared=()):
    """Rows Σ D X − step·f(x, …) of all stages; the states as (elements·3 + 1) arrays."""
    D, e = radau(), np.arange(elements)
    for i, x in enumerate(states):
        for k in range(3):
            at = 3 * e + k + 1
            nodes = [x[3 * e + j] for j in range(4)]
            here = [s[at] for s in states] + [z[3 * e + k] for z in inputs]

            def row(*v, i=i, k=k):
                left = sum(D[k, j] * v[j] for j in range(4))
                *point, h = v[4:]
                return left - h * f(*point)[i]

            builder.constraint(f"{name}{i}{k}", row, *nodes, *here, *shared, step, equals=0.0)


def test_an_index_1_dae_is_a_program_and_a_chain():
    """x' = −z, 0 = z − x² − z³/10: states and algebraic variables against SciPy on x' = −z(x)."""
    elements = 20
    builder = cc.ProgramBuilder("dae")
    x = builder.variable("x", 3 * elements + 1, start=1.0)
    z = builder.variable("z", 3 * elements, start=0.5, upper=1.5)
    x[0].fix(1.0)
    transcribe(builder, "ode", lambda a, b: [-b], elements, 2.0 / elements, [x], [z])
    k = np.arange(3 * elements)
    builder.constraint("algebraic", lambda a, b: b - a**2 - b**3 / 10, x[k + 1], z[k], equals=0.0)

    def chains():
        e = np.arange(elements)
        ode = np.column_stack([elements * k + e for k in range(3)])
        own = 3 * elements + 3 * e[:, None] + np.arange(3)
        inner = np.hstack([x.numbers[3 * e[:, None] + [1, 2]], z.numbers.reshape(-1, 3)])
        chain = Chain(links=x.numbers[::3, None], inner=inner, rows=np.hstack([ode, own]))
        return ChainStructure((chain,), np.empty(0, int), np.empty(0, int))

    program = builder.build(chains)
    assert program.structure.exceptions(program.functions) == []
    found = cc.solve(program)  # a square system without an objective

    def slope(t, y):
        roots = np.roots([0.1, 0.0, -1.0, y[0] ** 2])
        return [-min(r.real for r in roots if abs(r.imag) < 1e-12 and r.real >= 0.0)]

    exact = solve_ivp(slope, (0.0, 2.0), [1.0], rtol=1e-11, atol=1e-12).y[0, -1]
    assert found.success
    assert found["x"][-1] == pytest.approx(exact, abs=1e-7)
    assert found["z"][-1] == pytest.approx(-slope(2.0, [exact])[0], abs=1e-6)


def test_two_phases_with_free_times_are_a_program_with_a_border():
    """Double integrator over a distance d, thrust 1 then −1: both phases take √d."""
    d, elements = 3.0, 4
    builder = cc.ProgramBuilder("phases")
    times = builder.variable("duration", 2, lower=0.1, start=1.0)
    phases = []
    for number, thrust in enumerate((1.0, -1.0)):
        states = [builder.variable(f"{s}{number}", 3 * elements + 1) for s in ("x", "v")]
        transcribe(
            builder, f"phase{number}", lambda x, v, T, a=thrust: [T * v, T * a], elements,
            1.0 / elements, states, shared=(times[number],),
        )  # fmt: skip
        phases.append(states)
    for start, end in zip(phases[1], phases[0], strict=True):
        builder.constraint(f"link_{end.name}", lambda a, b: a - b, start[0], end[-1], equals=0.0)
    for state, value in zip(phases[0], (0.0, 0.0), strict=True):
        state[0].fix(value)
    for state, value in zip(phases[1], (d, 0.0), strict=True):
        state[-1].fix(value)
    builder.minimize(lambda T: T, times)
    found = cc.solve(builder.build())
    assert found.success
    np.testing.assert_allclose(found["duration"], np.sqrt(d), rtol=1e-6)


def test_the_grey_box_has_its_parameters_in_the_border():
    nlp = cc.discretize(van_der_pol_grey(van_der_pol_data(n=30, end=6.0)), mesh=5)
    names = [nlp.column_names[j] for j in nlp.structure.border]
    assert "mu" in names
    assert ca.DM(nlp.functions.jacobian(nlp.start, nlp.p)[1]).shape == (nlp.rows, nlp.columns)


def test_training_by_ipopt_goes_the_common_way():
    samples, _ = squares2d(n=12)
    trained = train(Objective(network(), samples), "ipopt", iterations=5)
    assert trained.iterations <= 5
