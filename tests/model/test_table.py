"""Tables and everything that can be wrong with them."""

import bz2
import gzip
import lzma
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import collocode as cc


def write(tmp_path, text, name="data.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_plain_table(tmp_path):
    [e] = cc.read_csv(write(tmp_path, "t,a,b\n0,1,2\n1,,NaN\n2, 5 ,6\n"))
    assert e.outputs == ("a", "b")
    np.testing.assert_array_equal(e.values, [[1, 2], [np.nan, np.nan], [5, 6]])
    assert e.name == "data"


def test_columns_by_role(tmp_path):
    path = write(
        tmp_path,
        "run,time,force,x,note\nA,0,1,1.0,9\nA,1,1,2.0,9\nB,0,3,5.0,9\nB,2,4,6.0,9\n",
    )
    a, b = cc.read_csv(
        path,
        time="time",
        outputs=["x"],
        inputs={"force": "zoh"},
        experiment="run",
        initial={"x": cc.fixed(1.0)},
    )
    assert (a.name, b.name, a.outputs) == ("A", "B", ("x",))
    assert b.inputs["force"].kind == "zoh"
    np.testing.assert_array_equal(b.inputs["force"].values, [3.0, 4.0])
    np.testing.assert_array_equal(b.times, [0.0, 2.0])
    assert a.initial["x"] == cc.fixed(1.0)


def test_data_frames_of_numbers():
    frame = pd.DataFrame({"t": [0.0, 1.0], 7: [1.0, np.nan]})
    [e] = cc.from_frame(frame)
    assert e.outputs == ("7",)
    with pytest.raises(cc.InputError, match="data frame has no column 'z'; it has: t, 7"):
        cc.from_frame(frame, outputs=["z"])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("t,a\n0,1\n1,2\n", {"outputs": ["b"]}, "data.csv has no column 'b'; it has: t, a"),
        ("t,a\n0,1\n1,2\n", {"time": "when"}, "no column 'when'"),
        ("t,a\n0,1\n1,2\n", {"inputs": ["u"]}, "no column 'u'"),
        ("t,a\n0,1\n1,2\n", {"experiment": "run"}, "no column 'run'"),
        ("t\n0\n1\n", {}, "no measured column beside t"),
        ("t,a\n0,1\n1,abc\n", {}, "line 3, column 'a': 'abc' is not a number; repair the cell"),
        ("t,a\n0,1\n1,<0.5\n", {}, "'<0.5' is a limit; write its number here, .* censored="),
        ("t,a\nx,1\n1,2\n", {}, "line 2, column 't': 'x' is not a number"),
        ("t,a\n0,1\nx,2\n", {}, "line 3, column 't': 'x' is not a number"),
        ("t,a\n0,1\n1,1.2.3\n", {}, "'1.2.3' is not a number"),
        ("t,a\n0,1\n,2\n", {}, "time in line 3 is nan"),
        (
            "t,a\n1,1\n0,2\n",
            {},
            r"data.csv: times are not sorted: 0 \(line 3\) follows 1; several runs .*: name the column",
        ),
        ("t,a\n0,1\n0,2\n", {}, "time 0 occurs twice .* replicates=True"),
        ("t,a\n0,1\n", {}, "1 time is too few"),
        ("t,a,u\n0,1,\n1,2,\n", {"inputs": ["u"]}, "u has no finite value; an input must be known"),
        ("t,a,u\n0,1,1\n1,2,2\n", {"inputs": {"u": "cubic"}}, "u: unknown input kind 'cubic'"),
        ("t,a\n0,1\n1,inf\n", {}, "'a' is infinite at t = 1"),
    ],
)
def test_bad_tables_are_refused_by_line_and_column(tmp_path, text, options, message):
    with pytest.raises(cc.InputError, match=message) as caught:
        cc.read_csv(write(tmp_path, text), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; it needs a header line"),
        (b"t,a\n", "has a header but no rows; add data"),
        (b"t,a\n0,1\n1,2,3,4\n", "cannot be read as CSV"),
        (bytes(range(128, 256)) * 3, "not written in UTF-8: line 1 has the byte 0x80"),
        (b"\x00\x01", "."),
    ],
)
def test_bad_files_are_refused(tmp_path, content, message):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises((cc.FileError, cc.InputError), match=message) as caught:
        cc.read_csv(path)
    assert "data.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_in_another_encoding_is_read_by_its_name(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes("t,°C\n0,1\n1,2\n".encode("cp1252"))
    for read in (cc.read_csv, cc.read_table):
        assert read(path, encoding="latin-1")[0].outputs == ("°C",)
        assert read(path, encoding="cp1252")[0].outputs == ("°C",)
    with pytest.raises(
        cc.InputError, match=r"there is no encoding 'latin-0'; name one of Python's"
    ):
        cc.read_csv(path, encoding="latin-0")
    path.write_bytes(b"t,a\n0,1\n1,2\n# \x81\n")
    with pytest.raises(cc.FileError, match="not written in cp1252: line 4 has the byte 0x81"):
        cc.read_csv(path, encoding="cp1252")
    with pytest.raises(cc.InputError, match=r"data\.xlsx is no text; leave out encoding='cp1252'"):
        cc.read_table(tmp_path / "data.xlsx", encoding="cp1252")


def test_rows_out_of_order_are_told_by_their_lines_in_every_experiment(tmp_path):
    path = write(tmp_path, "t,run,a\n0,A,1\n1,A,2\n0,B,1\n2,B,2\n1,B,3\n")
    with pytest.raises(cc.InputError, match=r"experiment 'B': times are not sorted: 1 \(line 6\)"):
        cc.read_csv(path, experiment="run")


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "nothing.csv", tmp_path):
        with pytest.raises(cc.FileError, match=r"there is no data file .*; check the path"):
            cc.read_csv(path)


def test_an_output_without_any_value_is_found_when_the_problem_is_made(tmp_path):
    data = cc.read_csv(write(tmp_path, "t,a,b\n0,1,\n1,2,\n"))
    with pytest.raises(cc.InputError, match="output 'b' has no finite value"):
        cc.Problem(cc.NeuralODE(cc.MLP((2, 2))), data, regularisation=cc.L2())


def test_a_long_table_is_one_row_a_measurement(tmp_path):
    path = write(
        tmp_path, "run,t,what,value\nA,1,a,3\nA,0,a,1\nA,0,b,2\nB,0,b,5\nB,2,b,6\nB,2,u,7\n"
    )
    first, second = cc.read_csv(
        path, time="t", experiment="run", variable="what", outputs=["a", "b"]
    )
    np.testing.assert_array_equal(first.values, [[1, 2], [3, np.nan]])
    np.testing.assert_array_equal(second.values, [[np.nan, 5], [np.nan, 6]])
    assert (first.name, second.name) == ("A", "B")


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("t,what,value\n0,a,1\n0,a,2\n1,a,3\n", "'a' was measured twice at time 0"),
        ("t,what,value\n,a,1\n1,a,2\n", "line 2: the time is missing"),
        ("t,which,value\n0,a,1\n1,a,2\n", "no column 'what'"),
        ("t,what,value\n0,a,x\n1,a,2\n", "line 2, column 'value': 'x' is not a number"),
    ],
)
def test_bad_long_tables(tmp_path, text, phrase):
    with pytest.raises(cc.InputError, match=phrase):
        cc.read_csv(write(tmp_path, text), time="t", variable="what")


def test_a_single_column_may_be_given_as_a_text():
    frame = pd.DataFrame({"t": [0.0, 1.0], "Tc": [1.0, 2.0], "level": [3.0, 4.0]})
    (run,) = cc.from_frame(frame, outputs="level", inputs="Tc")
    assert run.outputs == ("level",)
    assert list(run.inputs) == ["Tc"]


# ---- what loggers and spreadsheets write: read rightly or refused, never shifted -----------------

THREE = ([0.0, 1.0, 2.0], [0.5, 1.5, 2.5])
READ = {
    "semicolons": ("t;x\n0;.5\n1;1.5\n2;2.5\n", "semicolons"),
    "semicolons and decimal commas": ("t;x\n0;0,5\n1;1,5\n2;2,5\n", "decimal commas"),
    "decimal commas in the times too": ("t;x\n0,0;0,5\n1,0;1,5\n2;2,5\n", "decimal commas"),
    "tabs": ("t\tx\n0\t0.5\n1\t1.5\n2\t2.5\n", "tabs"),
    "tabs and decimal commas": ("t\tx\n0\t0,5\n1\t1,5\n2\t2,5\n", "tabs .*decimal commas"),
    "quoted decimal commas": ('t,x\n0,"0,5"\n1,"1,5"\n2,"2,5"\n', "decimal commas"),
    "a line of units": ("t,x\nh,mg/l\n0,0.5\n1,1.5\n2,2.5\n", "line 2, .* taken for units"),
    "a unit of one column": ("t;x\n;[mg/l]\n0;0,5\n1;1,5\n2;2,5\n", "taken for units"),
    "bars": ("t|x\n0|0.5\n1|1.5\n2|2.5\n", "bars"),
    "blanks": ("t  x\n0  0.5\n1  1.5\n2  2.5\n", "blanks"),
    "trailing commas": ("t,x\n0,0.5,\n1,1.5,\n2,2.5,\n", "ends of the rows are dropped"),
    "trailing semicolons": ("t;x\n0;0,5;\n1;1,5;\n2;2,5;\n", "ends of the rows"),
    "an empty last column": ("t,x,\n0,0.5,\n1,1.5,\n2,2.5,\n", "the empty column 3 is dropped"),
    "Excel's word on the separator": ("sep=;\nt;x\n0;0,5\n1;1,5\n2;2,5\n", "semicolons"),
    "a header in a comment": ("# t,x\n0,0.5\n1,1.5\n2,2.5\n", "names of columns from the comment"),
    "comments first": ("# made today\n# by hand\nt,x\n0,0.5\n1,1.5\n2,2.5\n", ""),
    "empty lines": ("t,x\n\n0,0.5\n1,1.5\n,\n2,2.5\n\n", ""),
    "windows": ("\ufefft,x\r\n0,0.5\r\n1,1.5\r\n2,2.5\r\n", ""),
    "an old mac": ("t,x\r0,0.5\r1,1.5\r2,2.5\r", ""),
    "no last line break": ("t,x\n0,0.5\n1,1.5\n2,2.5", ""),
    "blanks about": (" t , x \n 0 , 0.5\n1, 1.5 \n2 ,2.5\n", ""),
    "exponents": ("t,x\n0,5e-1\n1,+1.5E0\n2,.25e1\n", ""),
    "a name with a comma": ('"t","x"\n0,0.5\n1,1.5\n2,2.5\n', ""),
}


@pytest.mark.parametrize("name", READ)
def test_tables_that_are_read_and_what_is_said_of_them(name, tmp_path, caplog):
    text, note = READ[name]
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8", newline="")
    [run] = cc.read_csv(path)
    assert (run.times.tolist(), run.values.ravel().tolist()) == THREE
    assert run.outputs == ("x",)
    said = "; ".join(run.notes)
    assert re.search(note, said) if note else not said
    assert caplog.messages == ([f"data.csv was read with: {said}."] if said else [])


@pytest.mark.parametrize(
    ("rows", "noted"),
    [("1;1.500\n2;2.500", True), ("1;1.500\n2;2.5", False), ("1.0;1.500\n2.0;2.500", False)],
)
def test_points_that_might_part_thousands_are_decimal_and_said_to_be(rows, noted, tmp_path):
    [run] = cc.read_csv(write(tmp_path, f"t;x\n{rows}\n"))
    assert run.values.ravel().tolist() == [1.5, 2.5]
    assert ("decimal points (1.500 is 1.5, no thousands)" in run.notes) == noted


def test_the_report_says_how_the_data_were_read(tmp_path):
    lines = [f"{k / 10};{math.exp(-k / 10):.6f}".replace(".", ",") for k in range(11)]
    data = cc.read_csv(write(tmp_path, "\n".join(["t;c", *lines])))
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 2.0)])
    found = cc.report(cc.fit(cc.Problem(decay, data), mesh=None)).findings
    [note] = [finding for finding in found if finding.code == "read-as"]
    assert str(note) == (
        "the table of data was read with semicolons between fields; decimal commas."
    )


REFUSED = {
    "a field more": ("t,x\n0,5\n1,6,9\n2,7\n", "line 3 has 3 fields, but the header has 2"),
    "a field less": ("t,x,y\n0,5,1\n1,6\n2,7,3\n", "line 3 has 2 fields, but the header has 3"),
    "an empty field more": ("t,x\n0,5\n1,6,\n2,7\n", "line 3 has 3 fields"),
    "a field more below empty lines": ("t,x\n\n\n0,5\n1,6,9\n", "line 5 has 3 fields"),
    "decimal commas": ("t,x\n0,1,5\n1,2,5\n", "line 2 has 3 fields.*if these are decimal commas"),
    "decimal commas everywhere": ("t,x\n0,0,1,5\n1,0,2,5\n", "line 2 has 4 fields.*decimal comma"),
    "a field less in all": ("t,x,y\n0,5\n1,6\n", "line 2 has 2 fields, but the header has 3"),
    "separators alone": (",\n,\n", "is empty; it needs a header"),
    "no header": ("0,5\n1,6\n2,7\n", "has no header: line 1 holds numbers"),
    "no header, semicolons": ("0;5,5\n1;6,5\n", "has no header"),
    "no header, a gap": ("0,\n1,6\n2,7\n", "has no header"),
    "points and decimal commas": (
        "t;x\n0.5;5,5\n1;6,5\n",
        "line 2, .*'t': '0.5' has a point where",
    ),
    "points in the same column": ("t;x\n0;5,5\n1;6.5\n", "line 3, column 'x': '6.5' has a point"),
    "thousands": ('t,x\n0,"1,500"\n1,"2,500"\n', "'1,500' has a decimal comma or one between"),
    "thousands after tabs": ("t\tx\n0\t1,500\n1\t2,500\n", "between thousands"),
    "thousands and decimals": ("t;x\n0;1.500,5\n1;2,5\n", "'1.500,5' .*point"),
    "two of one name": ("t,x,x\n0,1,2\n1,2,3\n", "two columns are called 'x'"),
    "a column without a name": (",t,x\n0,0,1\n1,1,2\n", "column 1 has no name in line 1"),
    "a first row without numbers": (
        "t,x\ns,m\nh,1\n1,2\n",
        "line 3, column 't': 'h' is not a number",
    ),
    "an open quote": ('t,x\n0,"1\n1,2\n2,3\n', "cannot be read as CSV"),
    "python's digits": ("t,x\n0,1_0\n1,2\n", "'1_0' is not a number"),
    "arabic digits": ("t,x\n0,١\n1,2\n", "is not a number"),
    "hexadecimal": ("t,x\n0,0x1\n1,2\n", "'0x1' is not a number"),
    "dates": (
        "t,x\n2020-01-01,1\n2020-01-02,2\n",
        "'2020-01-01' is a date; write numbers, such as hours",
    ),
    "German dates": ("t,x\n01.05.2024 08:00,1\n2,2\n", "'01.05.2024 08:00' is a date"),
    "ISO dates": ("t,x\n2024-05-01T08:00:00Z,1\n2,2\n", "'2024-05-01T08:00:00Z' is a date"),
    "times of day": ("t,x\n08:15,1\n08:30,2\n", "'08:15' is a date"),
    "a separator of its own": ("sep=&\nt&x\n0&1\n", "separated by '&'; choose one of"),
    "latin-1": (
        "t,°C\n0,1\n1,2\n".encode("latin-1"),
        r"line 1 has the byte 0xb0; name its encoding, often encoding='cp1252'.*UTF-8",
    ),
    "a spreadsheet": (b"PK\x03\x04 and more", "use read_table"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tables_that_are_refused_by_line(name, tmp_path):
    content, message = REFUSED[name]
    path = tmp_path / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(cc.CollocodeError, match=message) as caught:
        cc.read_csv(path)
    assert "data.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    rows=st.lists(
        st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=2, max_size=2),
        min_size=2,
        max_size=5,
    ),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    comma=st.booleans(),
    change=st.sampled_from(["", "drop", "double", "trail", "headless"]),
    where=st.integers(0, 4),
)
def test_random_tables_are_never_shifted(tmp_path_factory, rows, separator, comma, change, where):
    """What is read are the numbers that were written, in their columns."""
    lines = [[str(k), *(f"{v:.3f}" for v in row)] for k, row in enumerate(rows)]
    if comma:
        lines = [[cell.replace(".", ",") for cell in line] for line in lines]
    line = lines[where % len(lines)]
    if change == "drop":
        line.pop()
    elif change == "double":
        line.append(line[-1])
    elif change == "trail":
        lines = [[*line, ""] for line in lines]
    head = [] if change == "headless" else [["t", "a", "b"]]
    path = tmp_path_factory.mktemp("tables") / "data.csv"
    path.write_text("\n".join(separator.join(line) for line in [*head, *lines]) + "\n")
    try:
        [run] = cc.read_csv(path)
    except cc.CollocodeError:
        assert change in ("drop", "double", "headless") or comma
        return
    np.testing.assert_array_equal(run.times, np.arange(len(rows)))
    np.testing.assert_array_equal(run.values, rows)


def test_wide_tables_take_seconds(tmp_path):
    """10^4 columns here; the time of 10^5 is ten times that, not a hundred."""
    names = [f"c{j}" for j in range(10_000)]
    lines = [",".join(["t", *names]), *(",".join([str(k)] * 10_001) for k in range(3))]
    [run] = cc.read_csv(write(tmp_path, "\n".join(lines)))
    assert run.values.shape == (3, 10_000)
    assert run.outputs == tuple(names)


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
def test_packed_files(ending, tmp_path):
    path = tmp_path / f"data.csv.{ending}"
    module = {"gz": gzip, "bz2": bz2, "xz": lzma}[ending]
    path.write_bytes(module.compress(b"t,x\n0,0.5\n1,1.5\n2,2.5\n"))
    [run] = cc.read_csv(path)
    assert (run.times.tolist(), run.values.ravel().tolist()) == THREE
    path.write_bytes(b"no such thing")
    with pytest.raises(cc.FileError, match="cannot be read as CSV"):
        cc.read_csv(path)


def test_an_empty_cell_of_the_experiment_column_is_refused(tmp_path):
    path = write(tmp_path, "run,t,x\nA,0,1\nA,1,2\n,2,3\n")
    with pytest.raises(cc.InputError, match="line 4, column 'run': the cell is empty"):
        cc.read_csv(path, time="t", experiment="run")


# ---- data frames --------------------------------------------------------------------------------


def test_a_named_index_is_the_first_column():
    frame = pd.DataFrame({"x": [5.0, 6.0]}, index=pd.Index([0.0, 2.0], name="t"))
    [run] = cc.from_frame(frame)
    assert (run.times.tolist(), run.outputs) == ([0.0, 2.0], ("x",))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"x": [5.0, 6.0]}, index=[0.5, 2.0]), "an index without a name"),
        (pd.DataFrame([[0, 1, 2], [1, 2, 3]], columns=["t", "x", "x"]), "two columns are called"),
        (
            pd.DataFrame({"t": pd.to_datetime(["2020-01-01", "2020-01-02"]), "x": [1.0, 2.0]}),
            r"row 0, column 't': '2020-01-01 00:00:00' is a date",
        ),
        (pd.DataFrame({"t": pd.to_timedelta([0, 1], unit="s"), "x": [1.0, 2.0]}), "not a number"),
        (pd.DataFrame({"t": [0.0, 1.0], "x": [1j, 2j]}), "is not a number"),
        (pd.DataFrame({"t": ["0", "1"], "x": ["1,5", "2,5"]}), "'1,5' is not a number"),
        (pd.DataFrame({"t": [], "x": []}), "no rows or no columns"),
        (pd.Series([1.0, 2.0]), "takes a pandas DataFrame, not a Series"),
        ("data.csv", "not a str; read_csv and read_table read files"),
    ],
)
def test_frames_that_mean_something_else_are_refused(frame, message):
    with pytest.raises(cc.InputError, match=message):
        cc.from_frame(frame)


def test_nullable_and_mixed_columns():
    frame = pd.DataFrame({"t": pd.array([0, 1, 2], dtype="Int64"), "x": [1, None, "2.5"]})
    frame["y"] = pd.array([1.0, None, 3.0], dtype="Float64")
    [run] = cc.from_frame(frame)
    np.testing.assert_array_equal(run.values, [[1.0, 1.0], [np.nan, np.nan], [2.5, 3.0]])


# ---- spreadsheets and Parquet -------------------------------------------------------------------

SHEET = [["t", "x"], [0, 0.5], [None, None], [1, "1,5"], [2, 2.5]]


def sheets(monkeypatch, **tables):
    """What pandas hands over; its engines are not ours to test."""
    frames = {name: pd.DataFrame(rows, dtype=object) for name, rows in tables.items()}
    monkeypatch.setattr(pd, "read_excel", lambda path, **options: frames)


def test_sheets_are_read_like_text(tmp_path, monkeypatch):
    path = write(tmp_path, "a spreadsheet", "data.xlsx")
    numbers = [[*SHEET[0]], *([k, k + 0.5] for k in range(3))]
    sheets(monkeypatch, first=numbers, second=[["t", "y"], [0, 1], [1, 2]])
    [run] = cc.read_table(path)
    assert (run.times.tolist(), run.values.ravel().tolist()) == THREE
    assert run.notes == ("the first of 2 sheets, 'first'",)
    assert cc.read_table(path, sheet="second")[0].outputs == ("y",)
    assert cc.read_table(path, sheet=1)[0].outputs == ("y",)
    for options, message in (
        ({"sheet": "third"}, "data.xlsx has no sheet 'third'; it has: first, second"),
        ({"sheet": 7}, "has no sheet 7"),
        ({"time": "when"}, "has no column 'when'"),
    ):
        with pytest.raises(cc.InputError, match=message):
            cc.read_table(path, **options)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (SHEET, "'0.5' has a point where others have decimal commas"),
        (SHEET[1:3], "has no header: line 1 holds numbers"),
        ([[None, None]], "is empty"),
        ([["t", "x"], [0, 1], [1, "abc"]], "row 3, column 'x': 'abc' is not a number"),
    ],
)
def test_sheets_that_are_refused(rows, message, tmp_path, monkeypatch):
    path = write(tmp_path, "a spreadsheet", "data.xlsx")
    sheets(monkeypatch, only=rows)
    with pytest.raises(cc.CollocodeError, match=message):
        cc.read_table(path)


@pytest.mark.parametrize(
    ("name", "package"),
    [("data.xlsx", "openpyxl"), ("data.ods", "odfpy"), ("data.parquet", "pyarrow")],
)
def test_an_engine_that_is_not_installed_is_named(name, package, tmp_path, monkeypatch):
    def missing(path, **options):
        raise ImportError("Missing optional dependency")

    monkeypatch.setattr(pd, "read_excel", missing)
    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(cc.MissingDependency, match=rf"run: pip install {package}\."):
        cc.read_table(write(tmp_path, "x", name))


def test_parquet_files_keep_their_names(tmp_path, monkeypatch):
    frame = pd.DataFrame({"t": [0.0, 1.0, 2.0], "x": [0.5, 1.5, 2.5]})
    monkeypatch.setattr(pd, "read_parquet", lambda path: frame)
    [run] = cc.read_table(write(tmp_path, "x", "data.parquet"))
    assert (run.name, run.times.tolist(), run.values.ravel().tolist()) == ("data", *THREE)
    monkeypatch.setattr(pd, "read_parquet", lambda path: 1 / 0)
    with pytest.raises(cc.FileError, match=r"data.parquet cannot be read \(division by zero\)"):
        cc.read_table(tmp_path / "data.parquet")


def test_a_workbook_that_openpyxl_wrote(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "data.xlsx"
    first = pd.DataFrame({"t": [0, 1, 2, 3], "x": [0.5, None, 1.5, 2.5], "u": [1, 1, 2, 2]})
    with pd.ExcelWriter(path) as book:
        first.to_excel(book, sheet_name="pulled", index=False)
        pd.DataFrame({"t": [0.0, 1.0], "x": ["low", 2.0]}).to_excel(
            book, sheet_name="bad", index=False
        )
    [run] = cc.read_table(path, inputs="u", sheet="pulled")
    np.testing.assert_array_equal(run.values[:, 0], [0.5, np.nan, 1.5, 2.5])
    assert (run.outputs, list(run.inputs)) == (("x",), ["u"])
    np.testing.assert_array_equal(run.inputs["u"](run.times), [1.0, 1.0, 2.0, 2.0])
    with pytest.raises(cc.InputError, match=r"row 2, column 'x': 'low' is not a number"):
        cc.read_table(path, sheet="bad")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(cc.FileError, match=r"data\.xlsx cannot be read"):
        cc.read_table(path)


def test_a_parquet_file_that_pyarrow_wrote(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "data.parquet"
    frame = pd.DataFrame({"t": [0.0, 1.0, 2.0], "x": [0.5, np.nan, 2.5], "run": ["a", "a", "a"]})
    frame["y"] = pd.array([1, None, 3], dtype="Int32")
    frame.to_parquet(path)
    [run] = cc.read_table(path, outputs=("x", "y"), experiment="run")
    assert (run.name, run.outputs, run.times.tolist()) == ("a", ("x", "y"), [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(run.values, [[0.5, 1.0], [np.nan, np.nan], [2.5, 3.0]])
    frame.assign(t=pd.date_range("2026-01-01", periods=3)).to_parquet(path)
    with pytest.raises(cc.InputError, match="'t'"):
        cc.read_table(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(cc.FileError, match=r"data\.parquet cannot be read"):
        cc.read_table(path)


def test_tables_of_other_endings_are_text(tmp_path):
    [run] = cc.read_table(write(tmp_path, "t\tx\n0\t0.5\n1\t1.5\n2\t2.5\n", "data.tsv"))
    assert (run.times.tolist(), run.values.ravel().tolist()) == THREE
    with pytest.raises(cc.InputError, match=r"data\.tsv has no sheets"):
        cc.read_table(tmp_path / "data.tsv", sheet=0)
    for name in ("absent.xlsx", "absent.parquet", "absent.csv"):
        with pytest.raises(cc.FileError, match="no data file"):
            cc.read_table(tmp_path / name)


def test_runs_are_called_as_the_table_calls_them():
    frame = pd.DataFrame({"t": [0, 1, 0, 1], "a": [1.0, 2.0, 3.0, 4.0], "run": [1, 1, 2, 2]})
    assert [e.name for e in cc.from_frame(frame, experiment="run")] == ["1", "2"]
    with pytest.raises(cc.InputError, match=r"0 \(row 2\) follows 1;"):
        cc.from_frame(frame, outputs=["a"])
