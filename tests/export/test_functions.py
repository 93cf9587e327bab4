"""CasADi functions in files, C code, Modelica text."""

import ctypes
import math
import re
import shutil
import subprocess

import casadi as ca
import numpy as np
import pytest

import collocode as cc
from collocode.errors import FileError, InputError
from collocode.export.functions import load_functions, nlp_functions, save_functions, write_c
from collocode.export.modelica import modelica_text, write_modelica
from tests.problems import driven, van_der_pol_data, van_der_pol_grey, van_der_pol_neural

COMPILER = shutil.which("cc") or shutil.which("gcc")


@pytest.fixture(scope="module")
def solution():
    return cc.fit(
        van_der_pol_neural(van_der_pol_data(n=15, sigma=0.05), sizes=(2, 4, 2)), mesh=None
    )


def point(nlp, seed=0):
    return nlp.start + 0.1 * np.random.default_rng(seed).normal(size=nlp.columns)


def test_saved_functions_are_the_nlp(solution, tmp_path):
    nlp = solution.nlp
    path = tmp_path / "vdp.casadi"
    save_functions(nlp_functions(nlp), path)
    assert [p.name for p in tmp_path.iterdir()] == ["vdp.casadi"]
    found = load_functions(path)
    x = point(nlp)
    f, g = found["nlp"](x, nlp.p)
    assert float(f) == nlp.objective(x)
    np.testing.assert_array_equal(np.array(g).ravel(), nlp.constraints(x))
    data = found["nlp_data"]()
    # what a reader that has CasADi alone would do
    derivatives = {"grad_f": "nlp_grad_f", "jac_g": "nlp_jac_g", "hess_lag": "nlp_hess_l"}
    options = {"ipopt.print_level": 0, "print_time": False, "ipopt.sb": "yes"}
    options |= {name: found[file] for name, file in derivatives.items()}
    solver = ca.nlpsol("solver", "ipopt", found["nlp"], options)
    answer = solver(**{k: data[k] for k in ("x0", "p", "lbx", "ubx", "lbg", "ubg")})
    assert solver.stats()["success"]
    reference = cc.solve(nlp).result  # the solver scales, this one does not: perhaps another basin
    assert float(answer["f"]) == pytest.approx(reference.objective, rel=0.2)


def test_function_files_that_are_none(tmp_path):
    path = tmp_path / "x.casadi"
    with pytest.raises(FileError, match="no file"):
        load_functions(path)
    for content in (b"", b"not at all"):
        path.write_bytes(content)
        with pytest.raises(FileError):
            load_functions(path)


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_c_code_of_the_nlp(solution, tmp_path):
    nlp = solution.nlp
    library = compiled(nlp_functions(nlp), tmp_path / "nlp.c")
    x = point(nlp)
    f, g = ca.external("nlp", library)(x, nlp.p)
    assert float(f) == pytest.approx(nlp.objective(x), rel=1e-13)
    np.testing.assert_allclose(np.array(g).ravel(), nlp.constraints(x), rtol=1e-12, atol=1e-12)
    lam = np.random.default_rng(1).normal(size=nlp.rows)
    H = ca.external("nlp_hess_l", library)(x, nlp.p, 0.7, lam)
    expected = nlp.functions.hessian(x, nlp.p, 0.7, lam)
    np.testing.assert_allclose(H.nonzeros(), expected.nonzeros(), rtol=1e-10, atol=1e-10)


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_c_code_of_the_right_hand_side(solution, tmp_path):
    """Called as any C program would, without CasADi."""
    library = compiled([solution.model.trained_function()], tmp_path / "rhs.c")
    rhs = ctypes.CDLL(library).rhs
    numbers = ctypes.c_double * 2
    pointer = ctypes.POINTER(ctypes.c_double)
    t, x, dx = ctypes.c_double(0.0), numbers(0.3, -0.4), numbers()
    inputs = (pointer * 3)(ctypes.pointer(t), ctypes.cast(x, pointer), pointer())
    outputs = (pointer * 1)(ctypes.cast(dx, pointer))
    integers, work = (ctypes.c_longlong * 10)(), (ctypes.c_double * 10_000)()
    assert rhs(inputs, outputs, integers, work, 0) == 0
    np.testing.assert_allclose(list(dx), solution.model.rhs(0.0, [0.3, -0.4]), rtol=1e-13)


def compiled(functions, path):
    write_c(functions, path)
    library = path.with_suffix(".so")
    flags = ["-O1", "-fPIC", "-shared", "-Werror=int-conversion"]
    subprocess.run([COMPILER, *flags, str(path), "-o", str(library), "-lm"], check=True)
    return str(library)


# ---- Modelica -----------------------------------------------------------------------------------


def run_modelica(text, t, states, inputs):
    """Evaluate the derivatives that a Modelica text gives, in Python."""
    names = {"time": t, **states, **inputs}
    names |= {
        n: getattr(math, n) for n in ("exp", "log", "sqrt", "sin", "cos", "tanh", "cosh", "log10")
    }
    for name, value in re.findall(r"parameter Real (\w+) = (.*);", text):
        names[name] = float(value.strip("()"))
    v = names["v_"] = {}
    slopes = {}
    for line in text.partition("\nequation\n")[2].splitlines():
        left, equals, right = line.strip().rstrip(";").partition(" = ")
        if not equals or left.startswith("annotation"):
            continue
        value = eval(right.replace("^", "**"), {"__builtins__": {}}, names)
        if left.startswith("v_["):
            v[int(left[3:-1])] = value
        else:
            slopes[left[4:-1]] = value
    return slopes


def test_modelica_text_has_the_right_hand_side(solution, tmp_path):
    text = modelica_text(solution, "Trained van der Pol")
    assert text.startswith("model Trained_van_der_Pol\n")
    assert text.endswith("end Trained_van_der_Pol;\n")
    slopes = run_modelica(text, 0.0, {"y1": 0.3, "y2": -0.4}, {})
    expected = solution.model.rhs(0.0, [0.3, -0.4])
    np.testing.assert_allclose([slopes["y1"], slopes["y2"]], expected, rtol=1e-13)
    grey = cc.fit(van_der_pol_grey(van_der_pol_data(n=15)), mesh=None)
    text = modelica_text(grey)
    assert f"parameter Real mu = {grey.parameters['mu']!r};" in text
    forced = cc.fit(driven(), mesh=None)
    write_modelica(forced, tmp_path / "der.mo")
    text = (tmp_path / "der.mo").read_text()
    assert text.startswith("model nder\n")
    slopes = run_modelica(text, 0.0, {"x": 0.5}, {"u": 2.0})
    np.testing.assert_allclose(slopes["x"], forced.model.rhs(0.0, [0.5], [2.0])[0], rtol=1e-13)


@pytest.mark.parametrize("scale", ["linear", "log", "log10", "logit"])
def test_modelica_tells_parameters_of_the_first_experiment_in_natural_units(scale):
    """c' = -k c, k = 0.7 on any scale; m is 3 in the first run and begins at t = 1 there."""
    t = np.linspace(1.0, 3.0, 9)
    runs = [
        cc.Experiment(t, np.exp(-0.7 * m * t), ("c",), parameters={"m": m}, name=f"m = {m}")
        for m in (3.0, 1.0)
    ]
    known = [cc.Parameter("k", 0.6, 0.1, 0.9, scale=scale), cc.Parameter("m", 1.0)]
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * p.m * x.c], parameters=known)
    text = modelica_text(cc.fit(cc.Problem(dynamics, runs), mesh=10))
    told = dict(re.findall(r"parameter Real (\w+) = (.*);", text))
    assert float(told["k"]) == pytest.approx(0.7, rel=1e-4)
    assert float(told["m"]) == 3.0
    assert run_modelica(text, 1.0, {"c": 2.0}, {})["c"] == pytest.approx(-4.2, rel=1e-4)
    assert "annotation(experiment(StartTime = 1.0, StopTime = 3.0));" in text


def test_modelica_refuses_what_it_lacks():
    t = np.linspace(0.0, 1.0, 5)
    data = cc.Experiment(t, np.exp(-t), outputs=("c",))
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.c + ca.erf(x.c)], parameters=[cc.Parameter("k", 1.0)]
    )
    solution = cc.fit(cc.Problem(dynamics, data), mesh=None)
    with pytest.raises(InputError, match="no erf"):
        modelica_text(solution)
