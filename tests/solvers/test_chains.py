"""The linear solver for chains: inertia and solutions against dense ones, whole solves against MUMPS."""

import importlib
import os
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import linalg, sparse
from threadpoolctl import ThreadpoolController

import collocode as cc
from collocode import kernels
from collocode.solvers import threads
from collocode.solvers.chains import hook, mumps, part, places, session, top
from collocode.solvers.chains.arrow import Arrow
from collocode.solvers.chains.factor import ChainFactor
from collocode.solvers.chains.lowest import Last, _of_tridiagonal, by_inverse, lowest
from collocode.solvers.chains.places import Order, Unsuited
from collocode.solvers.chains.refined import Symmetric
from collocode.solvers.chains.session import ByMumps, Count, Factorisations
from collocode.transcription import by_layers
from tests.transcription.random_problems import cases
from tests.transcription.test_program import constrained

pytestmark = pytest.mark.skipif(not hook.available(), reason="this Ipopt takes no linear solver")
ABSENT = 1e-300  # an entry that is there, and zero


def augmented(program, rng, curvature=1.0, relaxed=0.0):
    """IPOPT's matrix at a random point: its pattern, and the entries of a triangle, some of the diagonal in two pieces."""
    order = Order.of(program)
    x = program.start + 0.1 * rng.standard_normal(program.columns)
    lam = curvature * rng.standard_normal(program.rows)
    H = sparse.csc_matrix(program.functions.hessian(x, program.p, 1.0, lam).sparse())
    J = sparse.csr_matrix(program.functions.jacobian(x, program.p)[1].sparse())
    H = (H + sparse.triu(H, 1).T).tocsr()[order.columns][:, order.columns]
    Jc, Jd = (J[rows][:, order.columns] for rows in (order.equalities, order.inequalities))
    m, k = Jc.shape[0], Jd.shape[0]
    barrier = sparse.diags(rng.uniform(0.0, 0.1, H.shape[0]) + ABSENT)
    slacks = sparse.diags(10.0 ** rng.uniform(-3, 3, k))
    delta = sparse.diags(np.full(k, -relaxed * 1e-3 + ABSENT))
    K = sparse.bmat(
        [
            [H + barrier, None, Jc.T, Jd.T],
            [None, slacks, None, -sparse.identity(k)],
            [Jc, None, sparse.diags(np.full(m, ABSENT)), None],
            [Jd, -sparse.identity(k), None, delta],
        ],
        format="csr",
    )
    upper = sparse.triu(K, format="coo")
    values = np.where(np.abs(upper.data) == ABSENT, 0.0, upper.data)
    rows, columns = upper.row.astype(int), upper.col.astype(int)
    halved = np.flatnonzero((rows == columns) & (rows < H.shape[0]) & (rows % 3 > 0))
    values[halved] *= 0.5
    mixed = rng.permutation(len(rows) + len(halved))  # of either triangle, in any order
    swapped = rng.random(len(mixed)) < 0.5
    rows, columns, values = (np.append(v, v[halved])[mixed] for v in (rows, columns, values))
    rows, columns = np.where(swapped, rows, columns), np.where(swapped, columns, rows)
    matrix = Symmetric(K.shape[0], rows, columns)
    assert len(matrix.again) == len(halved)
    matrix.fold(values)
    return matrix, values


def dense(matrix, values):
    n = matrix.size
    low, high = np.sort([matrix.rows, matrix.columns], axis=0)
    upper = sparse.coo_matrix((values, (low, high)), shape=(n, n)).toarray()
    return upper + np.triu(upper, 1).T


def negative(K):
    scale = 1.0 / np.sqrt(np.maximum(np.abs(K).max(axis=1), 1e-30))  # keeps the inertia
    return int((np.linalg.eigvalsh(K * scale[:, None] * scale) < 0.0).sum())


def without_kernels():
    """What NumPy does where no kernels are compiled."""
    return mock.patch.dict(os.environ, {kernels.SWITCH: "0"})


def check(program, rng, curvature, relaxed=0.0):
    """Inertia before and after the shift, and a refined solution, against dense ones."""
    program = program.scaled()
    matrix = augmented(program, rng, curvature, relaxed)
    rhs = rng.standard_normal(matrix[0].size)
    with without_kernels():
        chains = check_matrix(program, *matrix, rhs)
    if kernels.library() is not None:
        compiled = check_matrix(program, *matrix, rhs)
        assert compiled.shift == pytest.approx(chains.shift)
        for mine, other in zip(compiled.parts, chains.parts, strict=True):
            assert np.array_equal(mine.stayed, other.stayed)
    return chains


def check_matrix(program, matrix, values, rhs):
    values = values.copy()
    chains = ChainFactor(program, matrix)
    K = dense(matrix, values)
    found, singular = chains.factor(values)
    wanted = Order.of(program).negative
    assert not singular
    assert chains.negative() == negative(K)
    if chains.shift:
        least = np.linalg.eigvalsh(chains._top.arrow.dense())[0]
        assert chains.shift == pytest.approx(-2.0 * least)
        chains.factor(values)  # the one after it finds it by that
        assert 1.0 - 1e-6 <= chains.shift / (-2.0 * least) <= 1.1
        chains.begin()
        chains.factor(values)
        K[chains.top_columns, chains.top_columns] += chains.shift
        assert negative(K) == found == wanted
    elif chains.shifts:
        assert found == negative(K) == wanted
    count = Count()
    solver = Factorisations(chains, ByMumps(matrix, count), wanted, count)
    chains.begin()
    solver.factor(values)
    if found != wanted:
        return chains
    x = solver.solve(rhs)
    exact = np.linalg.solve(K, rhs)
    assert np.abs(x - exact).max() <= 1e-8 * np.abs(exact).max()
    assert not count.faults
    return chains


@given(cases(), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1, 1.0]), st.booleans())
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_inertia_and_solutions_are_those_of_dense_ones(case, seed, curvature, relaxed):
    program = case.nlp()
    rng = np.random.default_rng(seed)
    try:
        check(program, rng, curvature, float(relaxed))
    except Unsuited as why:
        reason = str(why)
    else:
        return
    # only for reasons that random problems have
    assert reason in (
        "a variable inside a chain is fixed",
        "its elements have more or fewer equations than they determine unknowns",
    )


def network_of(hidden, experiments=1, samples=12, **settings):
    rng = np.random.default_rng(3)
    t = np.linspace(0.0, 4.0, samples)
    data = [
        cc.Experiment(t, np.cos(t[:, None] * [1.0, 1.3]) + 0.1 * rng.standard_normal((samples, 2)),
                      ("x", "y"), name=f"run {k}")
        for k in range(experiments)
    ]  # fmt: skip
    return cc.Problem(cc.NeuralODE(cc.MLP((2, hidden, 2))), data, **settings)


@pytest.mark.parametrize(
    ("scheme", "degree"), [("radau", 1), ("radau", 3), ("gauss", 2), ("lobatto", 3)]
)
@pytest.mark.parametrize("experiments", [1, 3])
def test_what_is_shifted_here(scheme, degree, experiments):
    """With many weights the Hessian is made positive definite by a shift."""
    program = cc.discretize(network_of(12, experiments), scheme, degree, mesh=5)
    shifts = [check(program, np.random.default_rng(k), 1.0).shift for k in range(3)]
    assert max(shifts) > 0.0


@pytest.mark.parametrize("experiments", [3, 5])
def test_chains_in_several_parts(monkeypatch, experiments):
    """Rows and bounds of all kinds, with experiments of their own length, a part or two each."""
    monkeypatch.setattr(places, "_PART", 1500)
    problem = network_of(12, experiments, bounds={"y": (-3.0, 3.0)})
    elements = list(range(4, 4 + experiments))
    program = cc.discretize(problem, mesh=elements)
    chains = check(program, np.random.default_rng(0), 1.0)
    assert 1 < len(chains.parts) <= experiments
    assert chains.shift > 0.0


def test_inequalities_and_fixed_ends_are_condensed():
    program = cc.discretize(constrained(), mesh=6)
    check(program, np.random.default_rng(0), 0.5, 1.0)
    problem = network_of(12, bounds={"y": (-3.0, 3.0)})
    fixed = [replace(e, initial={"x": 1.0}) for e in problem.experiments]
    program = cc.discretize(replace(problem, experiments=fixed), mesh=4)
    chains = check(program, np.random.default_rng(1), 1.0)
    assert chains.places.fixed.sum() == 1


def test_links_stay_where_elimination_would_let_errors_grow(monkeypatch):
    monkeypatch.setattr(part.Part, "GROWTH", (0.6,))
    chains = check(cc.discretize(network_of(12), mesh=9), np.random.default_rng(0), 1.0)
    assert len(chains.parts[0].stayed) > 2


@pytest.mark.skipif(kernels.library() is None, reason="no kernels are compiled")
def test_a_matrix_is_eliminated_as_it_is_whatever_growth_the_last_one_needed(monkeypatch):
    monkeypatch.setattr(part.Part, "GROWTH", (0.6,))
    program = cc.discretize(network_of(12), mesh=9)
    matrix, values = augmented(program, np.random.default_rng(0))
    chains = ChainFactor(program, matrix)
    chains.factor(values)
    work = chains.parts[0].work
    call = work.eliminating(0.6)
    first = work.left.copy()
    work.eliminate(1e9)
    assert len(work.left) < len(first)
    assert call[-1].tolist() == [0.6]


def test_mumps_counts_as_dense_eigenvalues_do():
    program = cc.discretize(constrained(), mesh=3).scaled()
    matrix, values = augmented(program, np.random.default_rng(0))
    K = dense(matrix, values)
    direct = mumps.Mumps(matrix.rows, matrix.columns, len(K))
    assert direct.factor(values) == (negative(K), False)
    rhs = np.arange(len(K), dtype=float)
    assert np.allclose(K @ direct.solve(rhs), rhs)
    assert direct.factor(np.zeros_like(values))[1]
    direct.close()


# ---- whole solves --------------------------------------------------------------------------------

MODELS = (
    "damped_oscillator",
    "drifting_oscillator",
    "fitzhugh_nagumo",
    "harmonic_oscillator",
    "hudson_bay",
    "my_csv",
    "van_der_pol_mu",
    "van_der_pol_forced",
    pytest.param("van_der_pol_batches", marks=pytest.mark.slow),
    pytest.param("cstr", marks=pytest.mark.slow),
    pytest.param("van_der_pol", marks=pytest.mark.slow),
    pytest.param("van_der_pol_stiff", marks=pytest.mark.slow),
)


def both(program, **options):
    """The same program by MUMPS and by chains."""
    return [
        cc.solve(program, options={"linear_solver": name, **options}).result
        for name in ("mumps", "chains")
    ]


@pytest.mark.parametrize("name", MODELS)
def test_models_have_the_solution_that_mumps_finds(name):
    module = importlib.import_module(f"models.{name}")
    program = cc.start_from(cc.discretize(module.problem()))
    reference, _ = both(program)
    # from there, so that both end in the same of several optima
    near = program.with_start(reference.x)
    reference, chains = both(near)
    assert chains.linear_solver == "chains"
    assert all(r.success for r in (reference, chains))
    assert chains.objective == pytest.approx(reference.objective, rel=1e-6)
    size = np.abs(reference.lam_g).max()
    assert np.abs(chains.lam_g - reference.lam_g).max() <= 1e-3 * size
    assert program.kkt_residual(chains.x, chains.lam_g, chains.lam_x) <= 1e-6


def test_iterates_are_the_same_on_one_core_and_on_several(monkeypatch):
    monkeypatch.setattr(places, "_PART", 1500)
    monkeypatch.setattr(by_layers, "_PART", 2000)
    program = cc.start_from(cc.discretize(network_of(12, 5), mesh=6))
    one, two = (
        cc.solve(program, options={"linear_solver": "chains", "max_iter": 12, "threads": k}).result
        for k in (1, 2)
    )
    assert (one.linear_solver, two.linear_solver) == ("chains", "chains, 2 threads")
    assert one.iterations == two.iterations > 5
    for name in ("x", "lam_g", "lam_x"):
        assert np.array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.skipif(kernels.library() is None, reason="no kernels are compiled")
def test_iterates_are_the_same_without_compiled_kernels():
    def made():
        return cc.discretize(network_of(20, 2, bounds={"y": (-3.0, 3.0)}), mesh=6)

    program = cc.start_from(made())
    options = {"linear_solver": "chains", "max_iter": 12}
    compiled = cc.solve(program, options=options).result
    with without_kernels():
        plain = cc.solve(made().with_start(program.start), options=options).result
    assert (compiled.kernels, plain.kernels) == (True, False)
    assert compiled.iterations == plain.iterations > 5
    assert np.abs(compiled.x - plain.x).max() <= 1e-6 * np.abs(plain.x).max()


@pytest.mark.parametrize("threads", [0, 1.5, "two", True])
def test_a_number_of_threads_that_is_none_is_refused(threads):
    program = cc.discretize(network_of(2), mesh=4)
    with pytest.raises(cc.InputError, match=f"threads = {threads!r} is no number of threads"):
        cc.solve(program, options={"threads": threads})


def test_a_program_without_chains_goes_to_mumps():
    builder = cc.ProgramBuilder()
    x = builder.variable("x", 2, start=1.0)
    builder.minimize(lambda a: (a - 2.0) ** 2, x)
    found = cc.solve(builder.build(), options={"linear_solver": "chains"})
    assert found.result.linear_solver == "mumps"


def test_a_fixed_state_inside_a_chain_goes_to_mumps_and_says_so():
    program = cc.discretize(network_of(12), mesh=4)
    middle = program.structure.chains[0].links[2, 0]
    lower, upper = program.lower.copy(), program.upper.copy()
    lower[middle] = upper[middle] = 0.0
    held = replace(program, lower=lower, upper=upper)
    reference, chains = both(held)
    assert chains.linear_solver == "mumps"
    assert chains.objective == pytest.approx(reference.objective, rel=1e-8)


def infeasible():
    """A bound that the data contradict from the start: IPOPT has to restore feasibility."""
    t = np.linspace(0.0, 2.0, 9)
    data = cc.Experiment(t, np.exp(2.0 * t)[:, None], ("x",))
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k * x.x**2], parameters=[cc.Parameter("k", 30.0, lower=-1.0)]
    )
    return cc.discretize(cc.Problem(dynamics, data, bounds={"x": (0.5, 60.0)}), mesh=6)


def test_restoration_is_left_to_mumps():
    reference, chains = both(infeasible(), start_with_resto="yes")
    assert "mumps for" in chains.linear_solver
    assert chains.termination is reference.termination
    assert chains.objective == pytest.approx(reference.objective, rel=1e-6)


def test_chains_are_chosen_where_they_are_faster():
    large = cc.discretize(network_of(40, samples=60))
    for how, wanted in (
        ({}, "chains"),
        ({"deterministic": True}, "mumps"),
        ({"options": {"mumps_pivot_order": 0}}, "mumps"),
        ({"options": {"linear_solver": "mumps"}}, "mumps"),
        ({"options": {"hessian_approximation": "limited-memory"}}, "mumps"),
    ):
        how = {**how, "options": {"max_iter": 2, **how.get("options", {})}}
        assert cc.solve(large, **how).result.linear_solver == wanted


@pytest.mark.parametrize(
    ("hidden", "samples", "by_kernels", "plain"),
    [(8, 12, "mumps", "mumps"), (12, 20, "chains", "mumps"), (16, 40, "chains", "chains")],
)
def test_small_programs_are_left_to_mumps(monkeypatch, hidden, samples, by_kernels, plain):
    """The more Python a factorisation takes, the larger it has to be."""
    program = cc.discretize(network_of(hidden, samples=samples))
    if kernels.library() is not None:
        assert cc.solve(program, options={"max_iter": 2}).result.linear_solver == by_kernels
    monkeypatch.setattr(kernels, "library", lambda: None)
    assert cc.solve(program, options={"max_iter": 2}).result.linear_solver == plain


def test_what_was_made_for_a_solve_is_closed_with_it(monkeypatch):
    """Ipopt does not tell MA57 that it has ended."""
    closed, before = [], set(hook._open)
    monkeypatch.setattr(Factorisations, "close", lambda self: closed.append(self))
    program = cc.start_from(cc.discretize(network_of(8), "radau", 3, mesh=4))
    solver = cc.make_solver(program, options={"linear_solver": "chains", "max_iter": 2})
    solver.solve(program)
    assert closed
    assert set(hook._open) == before


def test_what_ends_a_solution_ends_the_solve(monkeypatch):
    """Ipopt does not ask MA57 whether a system was solved."""
    right, calls = ChainFactor.solve, []

    def fails(self, rhs):
        calls.append(1)
        if len(calls) > 5:
            raise ZeroDivisionError("no luck")
        return right(self, rhs)

    monkeypatch.setattr(ChainFactor, "solve", fails)
    program = cc.start_from(cc.discretize(network_of(12, samples=20)))
    with pytest.warns(RuntimeWarning, match="no luck"):
        found = cc.solve(program, options={"linear_solver": "chains"}).result
    assert (found.success, found.linear_solver, len(calls)) == (True, "mumps", 6)


def test_the_product_with_a_matrix_is_the_dense_one():
    program = cc.discretize(network_of(12, 3), mesh=5).scaled()
    rng = np.random.default_rng(0)
    matrix, values = augmented(program, rng)
    order = np.lexsort((matrix.rows, matrix.columns))  # runs of a column, as well as none
    x = rng.standard_normal(matrix.size)
    for where in (np.arange(len(values)), order):
        made = Symmetric(matrix.size, matrix.rows[where], matrix.columns[where])
        made.values = values[where]
        assert made.times(x) == pytest.approx(dense(matrix, values) @ x, rel=1e-12, abs=1e-12)
        with without_kernels():
            plain = Symmetric(matrix.size, matrix.rows[where], matrix.columns[where])
            plain.values = values[where]
            assert plain.times(x) == pytest.approx(made.times(x), rel=1e-12, abs=1e-12)


def test_a_warm_start_by_chains_stays_where_it_is():
    program = cc.start_from(cc.discretize(network_of(12, samples=20)))
    first = cc.solve(program, options={"linear_solver": "chains"})
    again = cc.solve(program, options={"linear_solver": "chains"}, warm=first)
    assert again.result.iterations <= 3
    assert again.result.objective == pytest.approx(first.result.objective, rel=1e-6)


# ---- faults --------------------------------------------------------------------------------------


def with_fault(monkeypatch, method, fault, after=2):
    """Break a method of `ChainFactor` from its third call on."""
    right, calls = getattr(ChainFactor, method), []

    def wrong(self, values):
        calls.append(1)
        answer = right(self, values)
        return fault(answer) if len(calls) > after else answer

    monkeypatch.setattr(ChainFactor, method, wrong)


FAULTS = {
    "numbers that are none": ("solve", lambda x: x * np.nan),
    "wrong solutions": ("solve", lambda x: x + 1.0),
    "too few negative eigenvalues": ("factor", lambda a: (a[0] - 1, False)),
    "too many negative eigenvalues": ("factor", lambda a: (a[0] + 1, False)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_end_in_mumps_with_a_warning(monkeypatch, fault):
    program = cc.start_from(cc.discretize(network_of(12, samples=20)))
    reference = cc.solve(program, options={"linear_solver": "mumps"}).result
    with_fault(monkeypatch, *FAULTS[fault])
    with pytest.warns(RuntimeWarning, match="by chains went wrong 3 times .*MUMPS took over"):
        found = cc.solve(program, options={"linear_solver": "chains"}).result
    assert found.success
    assert "mumps" in found.linear_solver
    assert program.kkt_residual(found.x, found.lam_g, found.lam_x) <= 1e-6
    assert found.objective <= 1.5 * reference.objective


def test_factors_that_are_not_finite_end_in_mumps(monkeypatch):
    program = cc.start_from(cc.discretize(network_of(12, samples=20)))
    settle = part.Part.settle

    def broken(self):
        settle(self)
        self._H *= np.nan

    monkeypatch.setattr(part.Part, "settle", broken)
    with pytest.warns(RuntimeWarning, match="a factor is not finite"):
        found = cc.solve(program, options={"linear_solver": "chains"}).result
    assert (found.success, found.linear_solver) == (True, "mumps")


def test_what_ends_ipopt_is_solved_again_without_chains(monkeypatch):
    def fails(self, values):
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr(ChainFactor, "factor", fails)
    program = cc.start_from(cc.discretize(network_of(12, samples=20)))
    with pytest.warns(RuntimeWarning, match="no luck"):
        found = cc.solve(program, options={"linear_solver": "chains"}).result
    assert (found.success, found.linear_solver) == (True, "mumps")


def test_where_mumps_cannot_take_over_ipopt_begins_again_with_its_own(monkeypatch):
    def relaxed(self, values):
        raise Unsuited("its equations are relaxed")

    monkeypatch.setattr(ChainFactor, "factor", relaxed)
    monkeypatch.setattr(session, "available", lambda: False)
    program = cc.start_from(cc.discretize(network_of(12, samples=20)))
    with pytest.warns(RuntimeWarning, match="MUMPS of the casadi wheel"):
        found = cc.solve(program, options={"linear_solver": "chains"}).result
    assert (found.success, found.linear_solver) == (True, "mumps")


def test_without_the_way_into_ipopt_mumps_is_used(monkeypatch):
    monkeypatch.setattr(hook, "available", lambda: False)
    program = cc.discretize(network_of(12), mesh=4)
    found = cc.solve(program, options={"linear_solver": "chains", "max_iter": 3})
    assert found.result.linear_solver == "mumps"


def test_ma57_itself_is_still_looked_for_in_its_library():
    program = cc.discretize(network_of(12), mesh=4)
    cc.solve(program, options={"linear_solver": "chains", "max_iter": 3})
    with pytest.raises(cc.MissingDependency, match="ma57"):
        cc.solve(program, options={"linear_solver": "ma57"})


def arrow(A, blocks=0):
    """A matrix as an arrow; what its blocks of one have of each other is left out."""
    D = np.diagonal(A)[:blocks, None, None]
    return Arrow(D.copy(), A[:blocks, None, blocks:].copy(), A[blocks:, blocks:].copy())


def test_the_lowest_eigenvalue_of_a_large_matrix_is_found_to_a_tenth():
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.standard_normal((700, 700)))
    values = np.append([-0.3, -0.1], np.linspace(0.0, 5.0, 698))
    A = (Q * values) @ Q.T
    for blocks_of_one in (0, 30):
        matrix = arrow(0.5 * (A + A.T), blocks_of_one)
        exact = np.linalg.eigvalsh(matrix.dense())[0]
        last = Last()
        found = lowest(matrix, last, True)
        assert exact * (1.0 + 1e-12) <= found <= 0.9 * exact
        assert found - last.error <= exact * (1.0 - 1e-12)
        # beginning with (about) the eigenvector of another eigenvalue does not hide the lowest
        again = lowest(matrix, Last(vector=Q[:, 1]), True)
        assert exact * (1.0 + 1e-12) <= again <= 0.9 * exact
    low_rank = np.outer(Q[0], Q[0]) * -2.0  # the method ends after two steps
    assert lowest(arrow(low_rank), Last(), True) == pytest.approx(-2.0)
    assert lowest(arrow(np.eye(700), 100), Last(), True) == pytest.approx(1.0)


def test_what_stands_below_the_diagonal_of_the_border_is_never_read():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((30, 30))
    A = A @ A.T + 30.0 * np.eye(30)
    whole, half = arrow(A, 4), arrow(A, 4)
    half.S[np.tril_indices(26, -1)] = np.nan
    v = rng.standard_normal(30)
    assert half.dense() == pytest.approx(whole.dense())
    assert half.times(v) == pytest.approx(whole.dense() @ v)
    units = rng.standard_normal((4, 26))
    shifted = whole.dense() + 0.1 * np.eye(30)
    shifted[4:, 4:] += 0.1 * units.T @ units
    x = half.cholesky(0.1, units).solve(v)
    assert shifted @ x == pytest.approx(v)
    G = rng.standard_normal((3, 26))  # rows of the border alone
    found = [
        top.Top(m, lambda: units, G, False, np.empty((26, 26)), Last()).solve(
            v[:4].reshape(4, 1), v[4:], np.ones(3)
        )
        for m in (whole, half)
    ]
    for one, other in zip(*found, strict=True):
        assert one == pytest.approx(other)
    assert G @ found[1][1] == pytest.approx(np.ones(3))


def test_the_matrix_after_a_positive_definite_one_is_tried_first(monkeypatch):
    looked = []
    monkeypatch.setattr(top, "lowest", lambda *given: looked.append(1) or lowest(*given))
    A, nothing, last = np.diag(np.linspace(1.0, 2.0, 700)), np.zeros((0, 700)), Last()

    def factorised(A, times):
        made = top.Top(arrow(A), lambda: nothing, nothing, True, np.empty_like(A), last)
        assert len(looked) == times
        return made

    assert factorised(A, 1).positive  # nothing is known of it yet
    assert factorised(A, 1).positive
    indefinite = factorised(A - 1.5 * np.eye(700), 2)
    assert not indefinite.positive
    assert indefinite.shift == pytest.approx(1.0, rel=0.2)  # twice the lowest eigenvalue
    assert factorised(A, 3).positive


@pytest.mark.parametrize(("blocks", "large"), [(0, False), (6, False), (6, True)])
def test_the_shift_of_one_matrix_after_another_is_twice_its_lowest_eigenvalue(
    blocks, large, monkeypatch
):
    monkeypatch.setattr(top, "_MOST_EIGH", 50 if large else 600)
    rng = np.random.default_rng(blocks)
    Q, other = (np.linalg.qr(rng.standard_normal((90, 90)))[0] for _ in range(2))
    none, last = np.zeros((0, 90 - blocks)), Last()
    # jumps up and down, another eigenvector, positive definite in between, tiny beside the largest
    for k, low in enumerate([-1.0, -0.9, -0.3, -30.0, -1e-2, -1e-6, 1e-3, 2e-3, -1e-4, -9e-5]):
        basis = other if k == 2 else Q
        made = arrow(
            (basis * np.append([low, 0.8 * low], np.logspace(-4, 2, 88))) @ basis.T, blocks
        )
        exact = np.linalg.eigvalsh(made.dense())[0]
        found = top.Top(made, lambda: none, none, True, np.empty_like(made.S), last)
        assert found.positive == (exact > 0.0)
        if found.positive:
            assert found.shift == 0.0
        else:
            assert (1.8 if large else 2.0 - 1e-6) <= found.shift / -exact <= 2.2


def test_a_small_negative_eigenvalue_of_a_large_matrix_is_found_by_inverse_iteration():
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.standard_normal((700, 700)))
    values = np.append(-1e-3, np.logspace(-2, 3, 699))
    A = (Q * values) @ Q.T
    assert by_inverse(arrow(0.5 * (A + A.T)), Last(error=0.1)) == pytest.approx(-1e-3, rel=0.1)
    # many that are that small, beside a first shift of 0.02
    values = np.append(np.full(200, -1e-7), np.logspace(-6.5, 2, 100))
    Q, _ = np.linalg.qr(rng.standard_normal((300, 300)))
    A = (Q * values) @ Q.T
    found = by_inverse(arrow(0.5 * (A + A.T)), Last(error=0.02))
    assert -1.1e-7 < found <= -1e-7 * (1.0 - 1e-6)


def test_the_lowest_eigenvalue_of_a_tridiagonal_matrix_is_scipys():
    rng = np.random.default_rng(0)
    for n in (1, 2, 9, 96):
        d, e = rng.standard_normal(n), rng.standard_normal(n)
        given = d.copy(), e.copy()
        value, vector = _of_tridiagonal(*given)
        assert [v.tolist() for v in given] == [d.tolist(), e.tolist()]
        T = np.diag(d) + np.diag(e[:-1], 1) + np.diag(e[:-1], -1)
        assert value == pytest.approx(linalg.eigvalsh(T)[0], abs=1e-12)
        assert T @ vector == pytest.approx(value * vector, abs=1e-12)


def test_every_blas_that_threadpoolctl_finds_is_limited_to_one_thread():
    with threads.one_blas_thread():
        blas = [v for v in ThreadpoolController().info() if v["user_api"] == "blas"]
    assert blas
    assert all(v["num_threads"] == 1 for v in blas)
