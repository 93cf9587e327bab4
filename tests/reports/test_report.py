"""`cc.report`: every kind of result, every way to look at it, one schema."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

import collocode as cc
from collocode.cli.main import app
from collocode.reports import Severity, as_text
from collocode.reports.parts import Column, Table
from collocode.reports.record import catalogue
from collocode.reports.text import table_lines
from models.nlp import chain
from tests.cli.small_models import DECAY
from tests.reports.results import KINDS, program, result

SCHEMA = json.loads(
    resources.files("collocode.reports").joinpath("schema.json").read_text(encoding="utf-8")
)


def report_of(kind):
    found, problem = result(kind)
    return cc.report(found, problem)


@pytest.mark.parametrize("kind", KINDS)
def test_json_is_of_the_schema_and_complete(kind):
    report = report_of(kind)
    read = json.loads(report.to_json())
    jsonschema.validate(read, SCHEMA)
    assert read["kind"] == {"unsolved": "solution"}.get(kind, kind)
    assert read["result"]["success"] is report.success
    assert list(read["tables"]) == list(report.tables)
    assert read["command"] == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [40, 80, 120])
def test_text_keeps_within_the_width_breaks_no_word_and_names_what_it_leaves_out(kind, width):
    text = as_text(report_of(kind), width)
    assert max(map(len, text.splitlines())) <= width
    for table in report_of(kind).tables.values():
        lines = ["".join(part for part, _ in line) for line in table_lines(table, width)]
        said = " ".join(" ".join(lines).split())
        left_out = said.partition("Not shown for want of width: ")[2]
        for column, cells in table.shown():
            for word in column.words.split():
                assert word in said
            for cell, _ in cells if not (column.left or column.words in left_out) else ():
                assert cell in said or cell == "–"


def test_a_row_that_does_not_fit_becomes_a_list():
    columns = [Column("a"), Column("b", drop=1), Column("c", heading="longer words")]
    row = {"a": "1.2345678", "b": "8.7654321", "c": "9.9999999"}
    table = Table(name="t", title="Title", columns=columns, rows=[row, row])

    def shown(width):
        return ["".join(part for part, _ in line).rstrip() for line in table_lines(table, width)]

    assert shown(40)[1] == "        a          b  longer words"
    assert shown(25)[1:3] == ["        a  longer words", "1.2345678     9.9999999"]
    assert shown(25)[-2:] == ["Not shown for want of", "width: b."]
    once = ["a", "  1.2345678", "b", "  8.7654321", "longer words", "  9.9999999"]
    assert shown(16) == ["Title", *once, "", *once]


def test_a_long_name_is_broken_and_no_number_is():
    scores = report_of("solution").tables["scores"]
    rows = [{**row, "truth": 1e-3, "truth_from_true_initial": 1e-3} for row in scores.rows]
    rows[0]["experiment"] = "a_very_long_name_" * 4
    table = replace(scores, rows=rows)
    lines = ["".join(text for text, _ in line) for line in table_lines(table, 80)]
    assert max(map(len, lines)) <= 80
    assert "".join(line.split(" ")[0] for line in lines).count("a_very_long_name_") == 4
    assert all(f"{row['collocated']:.2e}" in "".join(lines) for row in rows)


def test_a_sweep_says_which_data_its_fit_has_seen():
    found, _ = result("sweep")
    found = replace(found, refitted=True)
    assert "Fit to all data with" in str(cc.report(found))
    part = replace(found.solution, test=found.solution.nlp.problem.experiments)
    text = str(cc.report(replace(found, solution=part)))
    assert "Fit to all data but the test experiments with" in text


class Page(HTMLParser):
    """What a browser would look at."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.alternatives, self.cells = [], [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        if tag == "img":
            self.sources.append(given["src"])
            self.alternatives.append(given["alt"])
        self.cells += tag == "td"
        assert tag not in ("script", "link")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_needs_nothing_else(kind):
    report = report_of(kind)
    text = report.to_html()
    page = Page(text)
    assert page.open == []
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert len(page.sources) == len(report.figures) > 0
    assert all(page.alternatives)
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)
    shown = [table.shown() for table in report.tables.values()]
    assert page.cells == sum(len(cells) for columns in shown for _, cells in columns)
    assert "<img" not in report.without_figures().to_html()


@pytest.mark.parametrize("kind", KINDS)
def test_markdown_tables_are_rectangular(kind):
    blocks = report_of(kind).to_markdown().split("\n\n")
    for block in blocks:
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1


def test_a_program_read_from_a_file(tmp_path):
    model = program(tmp_path)
    report = cc.report(cc.solve_nl(model), model)
    jsonschema.validate(report.to_dict(), SCHEMA)
    assert (report.kind, report.title, report.success) == ("program", "square", True)
    alone = cc.report(cc.solve_nl(model))
    assert "program" not in alone.facts
    short = cc.report(cc.solve_nl(model, {"max_iter": 0}), model)
    assert [f.code for f in short.findings] == ["not-solved"]


def test_a_program_of_ones_own_is_told_by_its_blocks():
    solution = cc.solve(chain.problem(n=20))
    report = cc.report(solution)
    jsonschema.validate(report.to_dict(), SCHEMA)
    assert report.kind == "program"
    blocks = {block.name for block in solution.program.column_blocks}
    assert {row["name"] for row in report.tables["variables"].rows} == blocks
    worst = max(row["violation"] for row in report.tables["constraints"].rows)
    assert worst == solution.program.violation(solution.result.x).max()
    assert "variables.csv" in report.written()


def test_findings_speak_python_or_the_command_line(tmp_path):
    (finding,) = report_of("unsolved").findings
    assert finding.severity is Severity.ERROR
    assert finding.code == "not-solved"
    assert finding.remedy == "raise it by options={'max_iter': 2000}"
    assert str(finding).endswith("options={'max_iter': 2000}.")
    (tmp_path / "decay.py").write_text(DECAY)
    command = ["solve", str(tmp_path / "decay.py"), "--option", "max_iter=1"]
    assert "raise it by --option max_iter=2000." in CliRunner().invoke(app, command).stderr


def test_the_page_of_the_documentation_lists_every_code():
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    table = page[page.index("| code | of | says |") : page.index("## JSON")]
    assert set(
        re.findall(r"`([a-z]+(?:-[a-z]+)+|kinks|stagnation|rescued|stopped|trouble)`", table)
    ) == set(catalogue())


def test_the_words_are_those_of_the_command_line(tmp_path):
    (tmp_path / "decay.py").write_text(DECAY)
    command = ["solve", str(tmp_path / "decay.py"), "--elements", "4"]
    answer = CliRunner().invoke(app, command, env={"COLUMNS": "80"})

    def without_times(text):
        return re.sub(r" \d+\.\d\d(?= s|,|\)| \()", " *", " ".join(text.split()))

    printed, said = without_times(answer.stdout), without_times(str(report_of("solution")))
    assert printed == said


def test_tables_are_data():
    report = report_of("solution")
    frame = report.tables["parameters"].frame.set_index("name")
    trust = cc.uncertainty(result("solution")[0]).intervals()
    assert frame.loc["k", "lower_95"] == trust.loc["k", "lower"]
    iterations = report_of("admm").tables["iterations"]
    assert len(iterations.rows) == 4


def test_a_loaded_fit_says_what_it_does_not_know(tmp_path):
    solution = result("solution")[0]
    solution.save(tmp_path / "fit.npz")
    report = cc.report(cc.load(tmp_path / "fit.npz"))
    jsonschema.validate(report.to_dict(), SCHEMA)
    assert "NLP" not in report.facts
    assert "No intervals: a fit from a file" in str(report)
    unsolved = result("unsolved")[0]
    unsolved.save(tmp_path / "short.npz")
    (finding,) = cc.report(cc.load(tmp_path / "short.npz")).findings
    assert (finding.code, finding.remedy) == ("not-solved", "")


def test_a_training_without_its_problem_tells_what_its_history_knows():
    training, problem = result("training")
    rows = {row["part"]: row["error"] for row in cc.report(training).tables["parts"].rows}
    known = {row["part"]: row["error"] for row in cc.report(training, problem).tables["parts"].rows}
    assert rows == pytest.approx({part: known[part] for part in ("training", "validation")})


def test_an_optimum_without_its_surrogate():
    found, asked = result("relu")
    alone = cc.report(found)
    assert alone.title == "ReLU network"
    assert "network" not in alone.details
    assert cc.report(found, asked).tables["optimum"].rows[2]["true"] is not None


def test_write_makes_a_folder_that_belongs_to_it(tmp_path):
    report = report_of("solution")
    written = report.write(tmp_path / "new")
    names = sorted(path.name for path in written)
    assert names == sorted(p.name for p in (tmp_path / "new").iterdir())
    assert json.loads((tmp_path / "new" / "report.json").read_text())["files"] == names
    assert {"report.html", "report.md", "solution.npz", "trajectories.png"} <= set(names)
    text = (tmp_path / "new" / "report.md").read_text()
    assert "](trajectories.png)" in text
    fewer = report.write(tmp_path / "new", plots=False)
    assert not any(path.suffix == ".png" for path in fewer)
    assert not (tmp_path / "new" / "trajectories.png").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "report.md").write_text("mine")
    with pytest.raises(cc.InputError, match="was not written by collocode"):
        report.write(tmp_path / "other")


def test_what_cannot_be_reported_is_one_sentence():
    with pytest.raises(cc.InputError, match=r"report takes a result of collocode .*type 'ndarray'"):
        cc.report(np.zeros(3))


def test_a_notebook_shows_the_page():
    assert report_of("solution").without_figures()._repr_html_().startswith("<iframe srcdoc=")


def test_figures_are_drawn_only_when_they_are_looked_at():
    program = (
        "import sys, numpy as np, collocode as cc\n"
        "t = np.linspace(0.0, 1.0, 9)\n"
        "decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter('k', 1)])\n"
        "data = cc.Experiment(t, np.exp(-t), outputs=('c',))\n"
        "report = cc.report(cc.fit(cc.Problem(decay, data), mesh=2))\n"
        "text = str(report) + report.to_json() + report.to_markdown()\n"
        "print(report.success, 'matplotlib' in sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["True", "False"]


def test_the_costs_of_a_plan_add_up_to_its_objective():
    """x' = u, ∫u² from 1 to a weighted end at 0: (1 + σ²)⁻¹ in all, at the state σ²/(1 + σ²)."""
    window = cc.Window(
        end=1.0,
        controls={"u": cc.Control()},
        initial={"x": 1.0},
        final={"x": cc.weighted(0.0, 0.5)},
    )
    effort = cc.Lagrange(lambda t, x, u, p, nn: u.u**2, name="effort")
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [u.u])
    solution = cc.fit(cc.Problem(dynamics, window, states=("x",), costs=effort), mesh=3)
    report = cc.report(solution)
    rows = {row["cost"]: row["value"] for row in report.tables["costs"].rows}
    assert rows == pytest.approx({"effort": 0.64, "priors and weighted ends": 0.16})


def test_a_parameter_that_is_decided_without_data_has_no_interval_to_miss():
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.k * x.x], parameters=[cc.Parameter("k", 1.0, 0.1, 3.0)]
    )
    cost = cc.Mayer(lambda t, x, u, p, nn: (x.x - 0.5) ** 2)
    window = cc.Window(end=1.0, initial={"x": 1.0})
    solution = cc.fit(cc.Problem(dynamics, window, states=("x",), costs=cost), mesh=4)
    assert solution.parameters["k"] == pytest.approx(np.log(2.0), rel=1e-4)
    (row,) = cc.report(solution).tables["parameters"].rows
    assert row["lower"] == 0.1
    assert "No intervals" not in str(cc.report(solution))
