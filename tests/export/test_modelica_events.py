"""Modelica models of runs with events and dead times, read by a small interpreter of the text and integrated by SciPy."""

import math
import re

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc


def profile(t, points, powers):
    """What the function of that name in the text does."""
    k = 0
    while k < len(powers) - 1 and points[k + 1] <= t:
        k += 1
    s = (min(max(t, points[0]), points[-1]) - points[k]) / (points[k + 1] - points[k])
    return float(np.polyval(powers[k], s))


def simulated(text, times, sent, rtol=1e-7, breaks=()):
    """(N, states) of a Modelica text; ``sent`` are its inputs as functions of time, restarted at ``breaks``."""
    values = {n: float(v.strip("()")) for n, v in re.findall(r"parameter Real (\w+) = (.*);", text)}
    tables = re.findall(r"parameter Real (\w+)\[.*\] = (\{.*\});", text)
    values |= {n: eval(v.translate({123: 91, 125: 93})) for n, v in tables}
    start = re.findall(r"  Real (\w+)\(start = (.*), fixed = true\);", text)
    states = [name for name, _ in start]
    body = text.partition("\nequation\n")[2].partition("  annotation")[0]
    equations, _, clauses = body.partition("  when ")
    rows = re.findall(r"  (.+?) = (.*);", equations)
    found = re.findall(r"time >= (.*) then\n((?:    reinit.*\n)+)", clauses)

    def python(expression):
        expression = re.sub(r"delay\((\w+), (\w[\w.]*)\)", r"\1(time - \2)", expression)
        part = r"((?:[^()]|\(-[\d.e+-]+\))*?)"
        inner = rf"\(if {part} then {part} else {part}\)"
        expression = re.sub(inner, r"((\2) if (\1) else (\3))", expression)
        pieces = re.findall(r"if (time < [\d.e+-]+) then (.*?) else ", expression)
        rest = re.sub(r"if time < .* else ", "", expression)
        return "".join(f"({v}) if {c} else " for c, v in pieces) + rest.replace("^", "**")

    compiled = [(left, compile(python(right), left, "eval")) for left, right in rows]

    def slopes(t, x):
        names = {"time": t, **values, **sent, **dict(zip(states, x, strict=True)), "v_": {}}
        names |= {
            n: getattr(math, n) for n in ("exp", "log", "log10", "tanh", "sqrt", "cos", "sin")
        }
        names["profile"] = profile
        names |= {n: v(t) for n, v in sent.items() if f"delay({n}," not in body}
        for left, code in compiled:
            value = eval(code, {"__builtins__": {}}, names)
            if left.startswith("v_["):
                names["v_"][int(left[3:-1])] = value
            else:
                names[left] = value
        return [names[f"der({s})"] for s in states]

    x, begun, out = np.array([float(v.strip("()")) for _, v in start]), times[0], []
    clocks = [(float(t), acts) for t, acts in found] + [(times[-1], "")]
    clocks += [(b, "") for b in breaks if all(abs(b - t) > 1e-9 for t, _ in clocks)]
    for end, acts in sorted(c for c in clocks if c[0] > begun):
        inside = times[(times <= end) & (times > begun)] if out else times[times <= end]
        run = solve_ivp(
            slopes, (begun, end), x, rtol=rtol, atol=1e-2 * rtol, max_step=0.5, dense_output=True
        )
        out.append(run.sol(inside).T if len(inside) else np.empty((0, len(x))))
        names = {**values, "pre": float, **dict(zip(states, run.y[:, -1], strict=True))}
        new = {n: eval(e, {}, names) for n, e in re.findall(r"reinit\((\w+), (.*)\);", acts)}
        x, begun = np.array([new.get(s, names[s]) for s in states]), end
    return np.vstack(out)


K, LAG = 0.3, 7.0
JUMPS = ((0.0, 2.0), (30.0, 1.5))  # boluses, the first at the start
T = np.linspace(0.0, 60.0, 41)


def answer(t, k=K, lag=LAG):
    """c' = k (v(t - lag) - c), v a step at 10: boluses, an infusion of 0.2 over [20, 25], all halved at 45 and 1 added."""
    c = 1.0 - np.exp(-k * np.maximum(t - 10.0 - lag, 0.0))
    for at, amount in JUMPS:
        c = c + amount * np.exp(-k * (t - at)) * ((t > at) | (at == 0.0))
    c = (
        c
        + (np.exp(-k * np.maximum(t - 25.0, 0.0)) - np.exp(-k * np.maximum(t - 20.0, 0.0)))
        * 0.2
        / k
    )
    before = 1.0 - np.exp(-k * (45.0 - 10.0 - lag))
    before += sum(a * np.exp(-k * (45.0 - at)) for at, a in JUMPS)
    before += (np.exp(-k * 20.0) - np.exp(-k * 25.0)) * 0.2 / k
    return c + (1.0 - 0.5 * before) * np.exp(-k * (t - 45.0)) * (t > 45.0)


@pytest.fixture(scope="module", params=[LAG, "lag"], ids=["known", "estimated"])
def fitted(request):
    sent = cc.Signal([0.0, 10.0], [0.0, 1.0], "zoh")
    events = [
        cc.Dose(0.0, 2.0, to="block"),
        cc.Dose(20.0, 1.0, to="block", duration=5.0),
        cc.Dose(30.0, 1.5, to="block"),
        cc.Dilution(45.0, 0.5, of="block"),
        cc.Dose(45.0, 1.0, to="block"),
    ]
    measured = answer(T)
    measured[0] = np.nan  # a datum at the time of an event comes before it
    run = cc.Experiment(
        T, measured, ("block",), inputs={"v": sent}, initial={"block": 0.0}, events=events
    )
    tank = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k * (u.v - x.block)],
        parameters=[cc.Parameter("k", 0.2, 0.01, 1.0)],
    )
    lag = request.param
    more = [cc.Parameter("lag", 6.0, 0.0, 15.0)] if lag == "lag" else []
    return cc.fit(cc.Problem(tank, run, delays={"v": lag}, parameters=more), mesh=30)


def test_a_modelica_model_has_events_and_dead_times_inside(fitted, tmp_path):
    fitted.save(tmp_path / "fit.npz")
    texts = [cc.modelica_text(fitted), cc.modelica_text(cc.load(tmp_path / "fit.npz"))]
    assert texts[0] == texts[1]
    known = "lag" not in fitted.parameters
    sent = re.findall(r"^  input Real (\w+);", texts[0], flags=re.M)
    assert sent == (["v"] if known else [])  # else the steps of the run are inside
    assert "Real nblock(start = 2.0, fixed = true);" in texts[0]  # block is a word of Modelica's
    found = simulated(texts[0], T, {"v": lambda t: float(t >= 10.0)})[1:, 0]
    np.testing.assert_allclose(found, fitted.predict(T)[1:, 0], atol=3e-4)
    if known:
        np.testing.assert_allclose(found, answer(T, fitted.parameters["k"])[1:], atol=3e-4)


def test_a_loaded_fit_knows_its_events(fitted, tmp_path):
    fitted.save(tmp_path / "fit.npz")
    again = cc.load(tmp_path / "fit.npz")
    assert again.trajectories[0].experiment.events == fitted.trajectories[0].experiment.events
    assert again.gap() == fitted.gap()


def test_a_reset_to_a_function_is_refused():
    run = cc.Experiment(
        [0.0, 1.0, 2.0, 3.0],
        [1.0, 0.5, 0.5, 0.2],
        ("c",),
        events=[cc.Reset(1.0, {"c": lambda x, u, p: p.k})],
    )
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    with pytest.raises(
        cc.InputError, match="'c' is reset to a function at 1; reset it to a number"
    ):
        cc.modelica_text(cc.fit(cc.Problem(decay, run), mesh=6))
