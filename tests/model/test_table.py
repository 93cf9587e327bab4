"""Tables and everything that can be wrong with them."""

import numpy as np
import pandas as pd
import pytest

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
        ("t,a\n0,1\nx,2\n", {}, "line 3, column 't': 'x' is not a number"),
        ("t,a\n0,1\n1,1.2.3\n", {}, "'1.2.3' is not a number"),
        ("t,a\n0,1\n,2\n", {}, "time in row 2 is nan"),
        ("t,a\n1,1\n0,2\n", {}, r"not sorted: 0 \(row 2\) follows 1; sort the rows"),
        ("t,a\n0,1\n0,2\n", {}, "time 0 occurs twice .* name an experiment column"),
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
        (bytes(range(128, 256)) * 3, "cannot be read as CSV"),
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


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "nothing.csv", tmp_path):
        with pytest.raises(cc.FileError, match=r"there is no data file .*; check the path"):
            cc.read_csv(path)


def test_an_output_without_any_value_is_found_when_the_problem_is_made(tmp_path):
    data = cc.read_csv(write(tmp_path, "t,a,b\n0,1,\n1,2,\n"))
    with pytest.raises(cc.InputError, match="output 'b' has no finite value"):
        cc.Problem(cc.NeuralODE(cc.MLP((2, 2))), data)


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
