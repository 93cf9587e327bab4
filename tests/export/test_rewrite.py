"""Rewritten functions: the same values and derivatives, at any argument."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import collocode as cc
from collocode.errors import InputError
from collocode.export.operations import EXP_ONLY, rewritten

pyo = pytest.importorskip("pyomo.environ")
FORMS = {
    "tanh": (np.tanh, lambda a: 1.0 - np.tanh(a) ** 2, -2000.0, 2000.0),
    "cosh": (np.cosh, np.sinh, -300.0, 300.0),
    "sinh": (np.sinh, np.cosh, -300.0, 300.0),
    "tan": (np.tan, lambda a: 1.0 + np.tan(a) ** 2, -1.5, 1.5),
}


@pytest.mark.parametrize("name", FORMS)
@given(share=st.floats(0.0, 1.0))
def test_value_and_derivative(name, share):
    from pyomo.core.expr.calculus.derivatives import Modes, differentiate

    from collocode.export.operations import with_exp

    function, slope, low, high = FORMS[name]
    model = pyo.ConcreteModel()
    model.a = pyo.Var(initialize=low + share * (high - low))
    a = model.a.value
    form = with_exp([name])[name](model.a)
    assert pyo.value(form) == pytest.approx(function(a), rel=1e-12, abs=1e-13)
    first = differentiate(form, wrt=model.a, mode=Modes.reverse_numeric)
    assert first == pytest.approx(slope(a), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("a", [0.0, 1e-3, 1.0, 19.0, 19.9999, 20.0, 20.0001, 25.0, 1e3, -1e3, -5.0])
def test_second_derivative_of_tanh(a):
    import casadi as ca

    x = ca.SX.sym("x")
    capped = 0.5 * (x + 20.0 - ca.sqrt((x - 20.0) ** 2 + 1e-12))
    form = 1.0 - 2.0 / (1.0 + ca.exp(2.0 * capped))
    second = ca.Function("s", [x], [ca.hessian(form, x)[0]])
    t = np.tanh(a)
    assert float(second(a)) == pytest.approx(-2.0 * t * (1.0 - t * t), abs=2e-10)


def test_names():
    assert rewritten(EXP_ONLY) == frozenset(EXP_ONLY)
    assert rewritten("sigmoid") == {"tanh"}
    with pytest.raises(InputError, match="'erf'"):
        rewritten(["erf"])
    assert rewritten(["elu", "softplus"]) == {"tanh", "cosh"}  # ELU is exp and | | already
    with pytest.raises(InputError, match="'relu'"):
        rewritten("relu")


def test_rewritten_files_have_no_tanh(tmp_path):
    from collocode.export.nl import write_nl

    t = np.linspace(0.0, 1.0, 6)
    data = cc.Experiment(t, np.exp(-t), outputs=("c",))
    for activation in ("tanh", "sigmoid", "softplus", "swish", "gelu"):
        nlp = cc.discretize(cc.Problem(cc.NeuralODE(cc.MLP((1, 3, 1), activation)), data))
        plain = write_nl(nlp, tmp_path / "a.nl").path.read_text()
        assert "\no37\n" in plain
        text = write_nl(nlp, tmp_path / "b.nl", rewrite=(activation,)).path.read_text()
        assert not {"o37", "o40", "o45"} & set(text.split("\n"))
