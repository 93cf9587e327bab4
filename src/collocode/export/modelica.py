r"""The trained equations as a Modelica model (text, Modelica 3.4), from its tape.

States, inputs and parameters keep their names where Modelica allows them; shared results of the
right-hand side are protected variables.  Inputs that were decided come along as piecewise polynomials, so
that the model simulates as it stands; those of a fit of data stay inputs, to which dead times are applied inside;
events are those of one experiment (`modelica_events`).  Windows that follow each other are one model: inputs and
parameters of a window take their turns, and states that jump between two are set to what the plan has there.  An FMU follows from any Modelica tool
(``buildModelFMU`` of OpenModelica); we make none ourselves, because that takes a compiler for every
platform, and the Python packages that need none (PythonFMU) put a Python interpreter into the FMU.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import casadi as ca
import numpy as np

from ..errors import InputError
from ..files import write_text
from ..kinds import check_type
from ..results.fitted import Trajectory
from ..results.model import TrainedModel
from ..results.solution import Solution
from ..transcription.tape import ARITY, NAMES, Tape
from .modelica_events import acts_of
from .profiles import bounds_of, followed, joined

_FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
              "tanh", "atan2", "floor", "ceil", "sign")  # fmt: skip
_FORMS: dict[str, Callable[..., str]] = {
    "add": "({} + {})".format, "sub": "({} - {})".format, "mul": "({} * {})".format,
    "div": "({} / {})".format, "pow": "({} ^ {})".format, "constpow": "({} ^ {})".format,
    "assign": "{}".format, "neg": "(-{})".format, "sq": "({0} ^ 2)".format,
    "twice": "(2 * {})".format, "inv": "(1 / {})".format, "fabs": "abs({})".format,
    "fmin": "min({}, {})".format, "fmax": "max({}, {})".format, "fmod": "rem({}, {})".format,
    "hypot": "sqrt({} ^ 2 + {} ^ 2)".format, "log1p": "log(1 + {})".format,
    "expm1": "(exp({}) - 1)".format, "asinh": "log({0} + sqrt({0} ^ 2 + 1))".format,
    "acosh": "log({0} + sqrt({0} ^ 2 - 1))".format,
    "atanh": "(0.5 * log((1 + {0}) / (1 - {0})))".format,
    **{name: f"{name}({{}})".format for name in _FUNCTIONS if name != "atan2"},
    "atan2": "atan2({}, {})".format,
    "lt": "(if {} < {} then 1.0 else 0.0)".format,
    "le": "(if {} <= {} then 1.0 else 0.0)".format,
    "eq": "(if {0} <= {1} and {0} >= {1} then 1.0 else 0.0)".format,
    "if_else_zero": "(if {} > 0.5 then {} else 0.0)".format,
}  # fmt: skip
_SAME = (
    1e-6  # of its size, by which a state may differ across a junction over which it goes as it is
)
# parameters as they are decided, by their scale, from natural ones
_DECIDED = {
    "linear": "{0}",
    "log": "log({0})",
    "log10": "log10({0})",
    "logit": "log({0} / (1 - {0}))",
}
_PROFILE = (
    '  function profile "piecewise polynomial, highest power first"',
    "    input Real t;",
    "    input Real points[:];",
    "    input Real powers[:, :];",
    "    output Real y;",
    "  protected",
    "    Integer k;",
    "    Real s;",
    "  algorithm",
    "    k := 1;",
    "    while k < size(powers, 1) and points[k + 1] <= t loop",
    "      k := k + 1;",
    "    end while;",
    "    s := (min(max(t, points[1]), points[end]) - points[k]) / (points[k + 1] - points[k]);",
    "    y := 0.0;",
    "    for j in 1:size(powers, 2) loop",
    "      y := y * s + powers[k, j];",
    "    end for;",
    "  end profile;",
)
# the language's (Modelica 3.4, section 2.3.3), and the names that the text uses
_KEYWORDS = frozenset([
    "algorithm", "and", "annotation", "assert", "block", "break", "class", "connect", "connector",
    "constant", "constrainedby", "der", "discrete", "each", "else", "elseif", "elsewhen",
    "encapsulated", "end", "enumeration", "equation", "expandable", "extends", "external", "false",
    "final", "flow", "for", "function", "if", "import", "impure", "in", "initial", "inner", "input",
    "loop", "model", "not", "operator", "or", "outer", "output", "package", "parameter", "partial",
    "protected", "public", "pure", "record", "redeclare", "replaceable", "return", "stream", "then",
    "true", "type", "when", "while", "within", *_FUNCTIONS, "abs", "delay", "max", "min", "pre",
    "profile", "Real", "reinit", "rem", "time", "v_",
])  # fmt: skip


def modelica_text(solution: Solution, name: str = "", experiment: int | str | None = None) -> str:
    """Return the trained model as Modelica text.

    Parameters are told in natural units, on whatever scale they were decided.

    Parameters
    ----------
    name : of the model; by default the problem's.
    experiment : number or name of the one whose parameters, initial states, events and times it has; by
        default all windows of a plan, which then have to be one after the other, or the first experiment with
        data.

    Raises
    ------
    InputError
        An operation that Modelica lacks; windows that are not one after the other, or several with events or
        dead times.
    """
    check_type("modelica_text", solution, Solution)
    parts = _windows(solution, experiment)
    part = parts[0]
    model = solution.model.with_parameters(part.parameters)
    used: set[str] = set()
    model.refuse_lags("a Modelica model without the past")
    states, inputs, parameters, algebraics = (
        [_identifier(n, used) for n in names]
        for names in (model.states, model.inputs, model.parameter_names, model.algebraics)
    )
    scaled = zip(model.parameter_names, parameters, strict=True)
    decided = [_DECIDED[model.scales.get(n, "linear")].format(safe) for n, safe in scaled]
    safe = dict(zip((*model.states, *model.inputs), (*states, *inputs), strict=True))
    safe |= zip(model.parameter_names, parameters, strict=True)
    acts = acts_of(model, part.experiment, part.states[0].tolist(), safe, _number)
    changing = _changing(model, parts, parameters)
    arrived = [acts.inputs.get(n, safe[n]) for n in model.inputs]
    known = (["time"], states, [*arrived, *algebraics], decided)
    lines, (derivatives, residuals) = _equations(model, known)
    text = [f"model {_identifier(name or solution.name or 'Trained', set())}"]
    values = zip(parameters, model.natural(model.parameters).tolist(), strict=True)
    text += [f"  parameter Real {n} = {_number(v)};" for n, v in values if n not in changing]
    text += [f"  Real {n};" for n in changing]
    planned = any(p.controls for p in parts) or len(parts) > 1
    sent = [n for n in model.inputs if n not in acts.inputs or n in model.dead_times]
    own = [safe[n] for n in sent]
    text += _tables(parts, sent, own) if planned else []
    text += [f"  {'' if planned else 'input '}Real {n};" for n in own]
    text += [f"  Real {safe[n]};" for n in acts.conditions]
    text += [
        f"  Real {n}(start = {_number(v)}, fixed = true);"
        for n, v in zip(states, acts.start, strict=True)
    ]
    begun = solution.algebraics(part.times[0])[0].tolist()
    text += [f"  Real {n}(start = {_number(v)});" for n, v in zip(algebraics, begun, strict=True)]
    text += ["protected", f"  Real v_[{len(lines)}];"] if lines else []
    profile = "  {0} = profile(time, {0}_points, {0}_powers);"
    text += ["equation", *([profile.format(n) for n in own] if planned else [])]
    text += [f"  {safe[n]} = {condition};" for n, condition in acts.conditions.items()]
    text += [f"  {n} = {condition};" for n, condition in changing.items()]
    text += [f"  v_[{k}] = {line};" for k, line in enumerate(lines, start=1)]
    text += [f"  der({n}) = {d};" for n, d in zip(states, derivatives, strict=True)]
    text += [f"  0 = {g};" for g in residuals]
    text += [*acts.clauses, *_junctions(parts, states)]
    first, last = float(part.times[0]), float(parts[-1].times[-1])
    span = f"StartTime = {_number(first)}, StopTime = {_number(last)}"
    text.append(f"  annotation(experiment({span}));")
    return "\n".join([*text, f"end {text[0].split()[1]};", ""])


def _windows(solution: Solution, experiment: int | str | None) -> tuple[Trajectory, ...]:
    """The windows, one after the other, or the one experiment that a model is about."""
    if experiment is None and all(p.experiment.measures for p in solution.trajectories):
        experiment = 0
    parts = followed(solution, experiment)
    late = [*solution.model.dead_times, *solution.model.widths]
    events = [p.experiment.name for p in parts if p.experiment.events]
    if len(parts) > 1 and (events or late):
        what = f"events in {events[0]!r}" if events else f"a dead time of {late[0]!r}"
        raise InputError(
            f"a Modelica model of several windows does not have {what}; choose one window by "
            f"experiment={parts[0].experiment.name!r}, or simulate here."
        )
    return parts


def _changing(
    model: TrainedModel, parts: Sequence[Trajectory], safe: Sequence[str]
) -> dict[str, str]:
    """Parameters that are not the same in all windows, as conditions of time."""
    values = np.array([model.natural(p.parameters) for p in parts])
    ends = bounds_of(parts)[1:-1].tolist()
    found = {}
    for name, column in zip(safe, values.T.tolist(), strict=True):
        if len(set(column)) > 1:
            pieces = [
                f"if time < {_number(t)} then {_number(v)}"
                for t, v in zip(ends, column, strict=False)
            ]
            found[name] = " else ".join([*pieces, _number(column[-1])])
    return found


def _junctions(parts: Sequence[Trajectory], states: Sequence[str]) -> list[str]:
    """Clauses that set states where the next window begins elsewhere than the last one ended."""
    clauses: list[str] = []
    for before, after in pairwise(parts):
        size = np.maximum(np.abs(before.states).max(axis=0), np.abs(after.states).max(axis=0))
        jumps = np.abs(after.states[0] - before.states[-1]) > _SAME * size
        if jumps.any():
            word = "elsewhen" if clauses else "when"
            clauses.append(f"  {word} time >= {_number(float(after.mesh.start))} then")
            pairs = zip(states, after.states[0].tolist(), jumps, strict=True)
            clauses += [f"    reinit({n}, {_number(v)});" for n, v, jump in pairs if jump]
    return [*clauses, "  end when;"] if clauses else []


def _tables(parts: Sequence[Trajectory], names: Sequence[str], safe: Sequence[str]) -> list[str]:
    """The pieces of every input, and the function that evaluates them."""
    text, ends = list(_PROFILE), bounds_of(parts)
    for name, identifier in zip(names, safe, strict=True):
        sent = [p.experiment.inputs[name].later(0.0) for p in parts]  # the model delays it
        points, table = joined(sent, ends, name)
        rows = ["{" + ", ".join(map(_number, row)) + "}" for row in table.tolist()]
        times = ", ".join(map(_number, points.tolist()))
        text.append(f"  parameter Real {identifier}_points[{len(points)}] = {{{times}}};")
        size = f"{len(rows)}, {table.shape[1]}"
        text.append(f"  parameter Real {identifier}_powers[{size}] = {{{', '.join(rows)}}};")
    return text


def write_modelica(
    solution: Solution, path: str | Path, name: str = "", experiment: int | str | None = None
) -> None:
    """Write `modelica_text` to a file."""
    check_type("write_modelica", solution, Solution)
    text = modelica_text(solution, name or Path(path).stem, experiment)
    write_text(path, text)


def _equations(
    model: TrainedModel, known: tuple[list[str], ...]
) -> tuple[list[str], tuple[list[str], list[str]]]:
    """Return the right sides of ``v_[1]``, ``v_[2]``, ..., those of the derivatives, and residuals."""
    arguments = [ca.SX.sym("a", n) for n in model.tape.inputs]
    values = [model.function(*arguments)]
    values += [model.residuals(*arguments)] if model.algebraics else []
    tape = Tape.of(ca.Function("equations", arguments, values))
    absent = {NAMES[c] for c in tape.code.tolist()} - {*_FORMS, "const", "input", "output"}
    if absent:
        raise InputError(f"Modelica has no {', '.join(sorted(absent))}; rewrite it smoothly.")
    lines: list[str] = []

    def recorded(form: Callable[..., str]) -> Callable[..., str]:
        def apply(*operands: Any) -> str:
            texts = [v if isinstance(v, str) else _number(v) for v in operands]
            lines.append(form(*texts))
            return f"v_[{len(lines)}]"

        return apply

    operations = {name: recorded(form) for name, form in _FORMS.items() if name in ARITY}
    theta = [_number(v) for v in model.theta.tolist()]
    results = tape.replay([*known, theta], operations)
    texts = [[v if isinstance(v, str) else _number(v) for v in column] for column in results]
    return lines, (texts[0], texts[1] if model.algebraics else [])


def _number(value: float) -> str:
    return f"({value!r})" if value < 0 else repr(value)


def _identifier(name: str, used: set[str]) -> str:
    safe = re.sub(r"\W", "_", name, flags=re.ASCII)
    safe = f"n{safe}" if not safe[:1].isalpha() or safe in _KEYWORDS else safe
    while safe in used:
        safe += "_"
    used.add(safe)
    return safe
