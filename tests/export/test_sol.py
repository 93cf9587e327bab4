"""AMPL's .sol files: written, read, and refused."""

import contextlib

import numpy as np
import pytest

import collocode as cc
from collocode.errors import FileError
from collocode.export.sol import Sol, read_sol, write_sol


def test_sol_files_round_trip_and_are_checked(tmp_path):
    path = tmp_path / "m.sol"
    sol = Sol("done", 0, np.array([1.0, 0.1 + 0.2]), np.array([-3.0]), {"ipopt_zL_out": {1: 2.0}})
    write_sol(path, sol, (2, 1))
    again = read_sol(path, 2, 1)
    assert (again.message, again.code, again.suffixes) == ("done", 0, sol.suffixes)
    assert again.x.tolist() == sol.x.tolist()
    assert again.dual.tolist() == [-3.0]
    for sizes in ((3, 1), (2, 2)):
        with pytest.raises(FileError, match="another model"):
            read_sol(path, *sizes)
    text = path.read_text()
    path.write_text(text.replace("1 2.0", "7 2.0"))
    with pytest.raises(FileError, match="another model"):
        read_sol(path, 2, 1)
    path.write_text(text.replace("0.30000000000000004", "nan"))
    with pytest.raises(FileError, match="not finite"):
        read_sol(path, 2, 1)
    huge = text.replace("Options\n3\n", "Options\n9999999999\n")
    for bad in (
        "",
        "Options",
        text[: text.index("0.3000")],
        huge,
        text.replace("\n1\n1\n2\n2\n", "x"),
    ):
        path.write_text(bad)
        with pytest.raises(FileError, match=r"no \.sol file"):
            read_sol(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.sol"]


def test_a_file_that_was_cut_anywhere_has_the_same_point_or_none(tmp_path):
    path = tmp_path / "m.sol"
    zs = {"ipopt_zL_out": {0: 0.25, 1: 12.5}}
    write_sol(path, Sol("done", 200, np.array([1.25, 17.5]), np.array([-3.0]), zs), (2, 1))
    text, read = path.read_text(), []
    for end in range(len(text)):
        path.write_text(text[:end])
        for sizes in ((2, 1), ()):
            with contextlib.suppress(FileError):
                read.append(read_sol(path, *sizes))
    assert len(read) == 4  # after the values and after the status, where a writer may end
    for sol in read:
        assert (sol.x.tolist(), sol.dual.tolist()) == ([1.25, 17.5], [-3.0])
        assert sol.code in (-1, 200)
        assert not sol.suffixes


def test_a_point_that_is_no_solution_is_loaded_with_a_warning(tmp_path):
    t = np.linspace(0.0, 1.0, 4)
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 1.0)])
    nlp = cc.discretize(
        cc.Problem(decay, cc.Experiment(t, np.exp(-t), ("c",))), "implicit_euler", mesh=2
    )
    file = cc.write_nl(nlp, tmp_path / "m.nl")
    sizes = len(file.columns), len(file.rows)
    x, lam_g = np.arange(1.0, 1.0 + sizes[0]), np.arange(1.0, 1.0 + sizes[1])
    write_sol(tmp_path / "m.sol", Sol("contradiction", 200, x, lam_g), sizes)
    with pytest.warns(cc.CollocodeWarning, match="solve result 200, 'contradiction'"):
        loaded = cc.load_sol(nlp, file)
    np.testing.assert_array_equal(loaded[0][file.columns], x)


# ---- the rules of AMPL's reader (ampl/mp, nl-writer2) -------------------------------------------


def text(options, point=(1.0, 2.0, 3.0), tail="objno 0 0\n", sizes=(1, 1, 2, 2), tolerance=()):
    head = ["solved", "", "Options", *options, *sizes, *tolerance, *point]
    return "\n".join(map(str, head)) + "\n" + tail


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ((3, 1, 1, 0), ()),
        ((4, 1, 1, 0, 7), ()),
        ((5, 0, 1, 0, 1, 0), ()),
        ((9, 1, 2, 0, 4, 5, 6, 7, 8, 9), ()),
        ((5, 1, 3, 0), (1e-6,)),
        ((7, 1, 3, 0, 4, 5), (1e-6,)),
        ((3, 3), (0.5,)),  # three less two: one option and the tolerance
    ],
)
def test_any_number_of_options(options, tolerance, tmp_path):
    path = tmp_path / "m.sol"
    if options == (3, 3):  # the second number is the first of the sizes then
        path.write_text(text(options, sizes=(3, 1, 2, 2), tolerance=tolerance))
    else:
        path.write_text(text(options, tolerance=tolerance))
    sol = read_sol(path, 2, 1)
    assert sol.dual.tolist() == [1.0]
    assert sol.x.tolist() == [2.0, 3.0]
    assert sol.code == 0


@pytest.mark.parametrize(
    "bad",
    [
        text((2, 1, 1)),
        text((10, *range(10))),
        text((3, 1, 1, 0), sizes=(1, 2, 2, 2)),
        text((3, 1, 1, 0), point=(1.0, 2.0, 3.0, 4.0)),  # one more than announced
        text((3, 1, 1, 0), point=(1.0, 2.0)),
        text((3, 1, 1, 0), point=(1.0, "2_0", 3.0)),
        text((3, 1, 1, 0), point=(1.0, "٢", 3.0)),
        text((3, 1, 1, 0), point=(1.0, "0x2", 3.0)),
        text((3, 1, "1_0", 0)),
        text((3, 1, 1, 0), tail="objno 0 0\nsuffix 4 2 3 0 0\nab\n0 1.0\n"),
    ],
)
def test_what_ampls_reader_would_not_take(bad, tmp_path):
    path = tmp_path / "m.sol"
    path.write_text(bad)
    with pytest.raises(FileError, match=r"no \.sol file"):
        read_sol(path, 2, 1)


def test_suffixes_have_tables_and_kinds(tmp_path):
    path = tmp_path / "m.sol"
    suffix = "suffix {} 1 5 {} {}\nmine\n{}{} {}\n"
    tail = "objno 0 100\n" + suffix.format(0, 12, 2, "1 a one\n2 b two\n", 1, 7)
    path.write_text(text((3, 1, 1, 0), tail=tail + suffix.format(5, 0, 0, "", 0, 9.5)))
    sol = read_sol(path, 2, 1)
    assert sol.code == 100
    assert sol.suffixes == {"mine": {1: 7.0}}  # the constraint's does not take its place


def test_files_without_options_or_without_a_point(tmp_path):
    path = tmp_path / "m.sol"
    path.write_text("solved\n\n1.0\n2.0\n3.0\nobjno 0 0\n")
    assert read_sol(path, 2, 1).x.tolist() == [2.0, 3.0]
    with pytest.raises(FileError, match=r"no \.sol file"):
        read_sol(path)
    path.write_text(text((3, 1, 1, 0), point=(), sizes=(1, 0, 2, 0), tail="objno 0 200\n"))
    with pytest.raises(FileError, match="has no point; the solver found none: solved"):
        read_sol(path, 2, 1)
    path.write_bytes(b"\x06\0\0\0binary\x06\0\0\0")
    with pytest.raises(FileError, match=r"binary \.sol file; have the solver write text"):
        read_sol(path)


@pytest.mark.parametrize("options", [(1, 1, 0), (0, 1, 0, 1, 0), (1, 3, 0, 1e-6)])
def test_written_files_follow_the_rules(options, tmp_path):
    path = tmp_path / "m.sol"
    sol = Sol("first\n\nsecond", 0, np.array([1.0, 2.0]), np.array([3.0]))
    write_sol(path, sol, (2, 1), options)
    lines = path.read_text().split("\n")
    assert lines[:4] == ["first", " ", "second", ""]  # an empty line ends the message
    flat = len(options) + (1 if options[1] == 3 else 0)  # the count of a tolerance is two
    assert lines[4:6] == ["Options", str(flat)]
    again = read_sol(path, 2, 1)
    assert (again.x.tolist(), again.dual.tolist()) == ([1.0, 2.0], [3.0])
