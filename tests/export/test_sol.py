"""AMPL's .sol files: written, read, and refused."""

import numpy as np
import pytest

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
