"""Samples from files, their parts and scales: what comes out, and every refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat

from collocode.errors import FileError, InputError
from collocode.layered import (
    Samples,
    Scaling,
    read_arrays,
    read_samples,
    scale_parts,
    split_samples,
)
from collocode.layered.losses import affine_errors

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 3)), RNG.standard_normal((6, 2))


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    rows = [",".join(f"{v:.17g}" for v in [*x, *y]) for x, y in zip(X, Y, strict=True)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["a, b,c,u,v", *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("features", "targets"),
    [("a:c", "u:v"), (["a", "b", "c"], ["u", "v"]), (["a", "b:c"], ["u:u", "v"])],
)
def test_csv_by_names_and_ranges(csv, features, targets):
    samples = read_samples(csv, features, targets)
    np.testing.assert_array_equal(samples.X, X)
    np.testing.assert_array_equal(samples.Y, Y)


@pytest.mark.parametrize("kind", ["npz", "mat"])
def test_arrays_and_their_transpose(tmp_path, kind):
    path = tmp_path / f"data.{kind}"
    save = np.savez if kind == "npz" else lambda p, **v: savemat(p, v)
    save(path, X=X, Y=Y, Xt=X.T, Yt=Y.T, label=np.arange(6), words=np.array(["no", "numbers"]))
    for samples in (
        read_samples(path, "X", "Y"),
        read_samples(path, "Xt", "Yt", transpose=True),
        read_samples(path, ["X"], ["Y"]),
    ):
        np.testing.assert_array_equal(samples.X, X)
        np.testing.assert_array_equal(samples.Y, Y)
    # a vector is one feature or target, be it a row in MATLAB's way
    assert read_samples(path, ["X", "label"], "Y").inputs == 4
    assert read_samples(path, "X", "label", classes=True).classes == 6
    assert "words" not in read_arrays(path)


def test_sparse_matrices_of_matlab(tmp_path):
    savemat(tmp_path / "data.mat", {"X": sparse.csc_matrix(np.eye(3)), "Y": np.ones((3, 1))})
    np.testing.assert_array_equal(read_samples(tmp_path / "data.mat", "X", "Y").X, np.eye(3))


class Explosive:
    """Unpickling this would raise; nobody may try."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


def test_nothing_is_executed(tmp_path):
    np.savez(tmp_path / "bad.npz", X=X, Y=np.array([Explosive()], dtype=object))
    with pytest.raises(InputError, match="no variable 'Y'; it has: X"):
        read_samples(tmp_path / "bad.npz", "X", "Y")


@pytest.mark.parametrize(
    ("features", "targets", "message"),
    [
        ("a:d", "u", r"no column 'd'.*it has: a, b, c, u, v"),
        ("c:a", "u", "'c' comes after 'a'"),
        (["a", "a:b"], "u", "column 'a' is asked for twice"),
        ([], "u", "at least one column"),
        ("a", "w", "no column 'w'"),
    ],
)
def test_unknown_columns(csv, features, targets, message):
    with pytest.raises(InputError, match=message):
        read_samples(csv, features, targets)


def test_missing_targets_are_named_or_dropped(csv):
    lines = csv.read_text().splitlines()
    lines[3] = lines[3].rsplit(",", 1)[0] + ",NaN"
    csv.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"table\.csv, line 4, v: the value is nan \(1 such"):
        read_samples(csv, "a:c", "u:v")
    assert len(read_samples(csv, "a:c", "u:v", missing="drop")) == 5
    lines[3] = lines[3].rsplit(",", 1)[0] + ",broken"
    csv.write_text("\n".join(lines))
    with pytest.raises(InputError, match="line 4, column 'v': 'broken' is not a number"):
        read_samples(csv, "a:c", "u:v", missing="drop")


def test_missing_targets_of_arrays(tmp_path):
    bad = Y.copy()
    bad[4, 1] = np.nan
    np.savez(tmp_path / "data.npz", X=X, Y=bad, Z=Y[:4], cube=np.zeros((2, 2, 2)))
    with pytest.raises(InputError, match=r"row 4, Y\[1\]: the value is nan"):
        read_samples(tmp_path / "data.npz", "X", "Y")
    with pytest.raises(InputError, match="6 rows of features, but 4 of targets; transpose=True"):
        read_samples(tmp_path / "data.npz", "X", "Z")
    with pytest.raises(InputError, match=r"'cube' has shape \(2, 2, 2\)"):
        read_samples(tmp_path / "data.npz", "cube", "Y")
    with pytest.raises(InputError, match=r"different numbers of rows \(Z 4, X 6\)"):
        read_samples(tmp_path / "data.npz", ["Z", "X"], "Z")
    with pytest.raises(InputError, match="classes are integers"):
        read_samples(tmp_path / "data.npz", "X", "X", classes=True)
    with pytest.raises(InputError, match="unknown treatment of missing values"):
        read_samples(tmp_path / "data.npz", "X", "X", missing="ignore")


def test_files_that_are_none(tmp_path, csv):
    for name, content, message in [
        ("absent.csv", None, "no data file"),
        ("absent.mat", None, "there is no file"),
        ("table.txt", b"1 2", "no known kind"),
        ("broken.npz", b"PK\x03\x04 no", "is not a file of arrays, or it is damaged"),
        ("broken.mat", b"x" * 600, "is not a file of arrays, or it is damaged"),
        ("hdf.mat", b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x00" * 64, "-v7"),
        ("empty.csv", b"", "is empty; it needs a header"),
        ("head.csv", b"a,b\n", "no rows"),
    ]:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(FileError, match=message):
            read_samples(tmp_path / name, "a", "b")
    with pytest.raises(InputError, match="drop transpose"):
        read_samples(csv, "a", "u", transpose=True)


# ---- parts ---------------------------------------------------------------------------------------

DATA = Samples(np.arange(20.0)[:, None], np.arange(20.0)[:, None])


def rows_of(parts):
    return [set(part.X[:, 0].astype(int)) for part in parts]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((10, 6, 4), (10, 6, 4)), ((0.5, 0.25, None), (10, 5, 5)), ((None, 3, 0.1), (15, 3, 2))],
)
def test_parts_by_number_and_share(sizes, expected):
    first, again = (rows_of(split_samples(DATA, *sizes, seed=3)) for _ in range(2))
    assert tuple(map(len, first)) == expected
    assert len(set.union(*first)) == sum(expected)
    assert first == again != rows_of(split_samples(DATA, *sizes, seed=4))
    ordered = rows_of(split_samples(DATA, *sizes, seed=None))
    assert ordered[0] == set(range(expected[0]))


def test_parts_by_rows_as_matlab_counts():
    rows = [np.array([[1, 3]]), np.array([2], dtype=np.uint16), [20]]
    assert rows_of(split_samples(DATA, *rows, first=1)) == [{0, 2}, {1}, {19}]
    mask = np.arange(20) < 5
    assert rows_of(split_samples(DATA, mask, [7], [8]))[0] == set(range(5))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((18, 2, 2), "cannot be cut into train 18, validation 2, test 2"),
        ((20, None, 2), "cannot be cut"),
        ((None, None, 2), "only one of"),
        ((10, 2.5, 2), "validation must be a number of rows or a share"),
        ((-3, 2, 2), "train must be"),
        (([0, 1], 2, 2), "give rows for all three"),
        (([0, 1], [1], [2]), "row 1 is taken twice, in train and validation"),
        (([0, 1], [2], [20]), "test asks for row 20.*first=1 counts from 1"),
        (([0, 1], [2], [0.5]), "must be integers"),
    ],
)
def test_parts_that_do_not_fit(parts, message):
    with pytest.raises(InputError, match=message):
        split_samples(DATA, *parts)


def test_scaling_looks_at_training_only():
    train, unseen = Samples(X[:4], Y[:4]), Samples(X[4:] * 9.0, Y[4:] * 9.0)
    (a, b), inputs, targets = scale_parts((train, unseen))
    np.testing.assert_allclose([a.X.min(axis=0), a.X.max(axis=0)], [[-1.0] * 3, [1.0] * 3])
    np.testing.assert_allclose([a.Y.min(axis=0), a.Y.max(axis=0)], [[0.0] * 2, [1.0] * 2])
    np.testing.assert_allclose(inputs.inverse(b.X), unseen.X, atol=1e-12)
    np.testing.assert_allclose(targets.inverse(b.Y), unseen.Y, atol=1e-12)
    given = Scaling(np.full(3, -10.0), np.full(3, 10.0))
    np.testing.assert_allclose(scale_parts((train,), given)[0][0].X, X[:4] / 10.0, atol=1e-15)
    classes = Samples(X, np.array([0, 1, 0, 1, 0, 1]))
    assert scale_parts((classes,))[2] is None
    with pytest.raises(InputError, match=r"range \[1, 0\] of column 1"):
        Scaling(np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    with pytest.raises(InputError, match="scaling 3 columns"):
        given(Y)


def test_the_affine_baseline_is_least_squares():
    train, unseen = Samples(X[:5], Y[:5]), Samples(X[5:], Y[5:])
    A = np.column_stack([X, np.ones(6)])
    u = A @ np.linalg.pinv(A[:5]) @ Y[:5]
    each = np.linalg.norm(u - Y, axis=1) / np.linalg.norm(Y, axis=1)
    np.testing.assert_allclose(affine_errors(train, unseen), [each[:5].mean(), each[5]])
    with pytest.raises(InputError, match="these targets are classes"):
        affine_errors(Samples(X, np.arange(6)))
