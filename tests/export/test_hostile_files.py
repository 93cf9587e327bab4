"""Files that are empty, cut off, corrupt or made to harm: a clear error, and little memory."""

import random
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import collocode as cc
from collocode.errors import FileError
from collocode.export.nl_read import read_nl
from collocode.export.onnx_read import read_onnx
from collocode.export.sol import read_sol
from collocode.export.weights import load_weights, save_weights
from tests.problems import decay
from tests.waiting import HANGS

HEADER = """g3 1 1 0
 {n} {m} 1 0 {m}
 {m} 1 0 0 0 0
 0 0
 {n} {n} {n}
 0 {functions} 0 1
 {discrete} 0 0 0 0
 0 0
 0 0
 0 {v} 0 0 0
"""


def nl(body, n=1, m=0, functions=0, discrete=0, v=0):
    return HEADER.format(n=n, m=m, functions=functions, discrete=discrete, v=v) + body


@contextmanager
def read_or_refused(path):
    """Whatever a file holds: the only error is a FileError, and it names the file."""
    refusals = []
    try:
        yield refusals
    except FileError as error:
        if str(path) not in str(error):
            raise
        refusals.append(error)


GOOD = nl("O0 0\no5\nv0\nn2\nb\n3\n")
BAD_NL = {
    "empty": ("", "first letter"),
    "binary": ("b3 1 1 0\n", "binary"),
    "text": ("# a model\nvar x;\n", "first letter"),
    "header only": (nl(""), "bounds are missing"),
    "claims": (nl("b\n3\n", n=10**12), "more variables and constraints than it has lines"),
    "negative": (nl("b\n3\n", n=-1), "impossible sizes"),
    "functions": (nl("F0 1 1 system\n", functions=1), "imported functions"),
    "function call": (nl("O0 0\nf0 1\nv0\nb\n3\n"), "no operation"),
    "integers": (nl("b\n3\n", discrete=2), "discrete variables"),
    "undefined": (nl("O0 0\nv7\nb\n3\n"), "v7 is not defined"),
    "own definition": (nl("V1 0 0\nv1\nO0 0\nv1\nb\n3\n"), "v1 is not defined"),
    "operation": (nl("O0 0\no999\nv0\nb\n3\n"), "no operation"),
    "operands": (nl("O0 0\no54\n999999999999\nv0\nb\n3\n"), "more operands than lines"),
    "row": (nl("C5\nn0\nO0 0\nv0\nb\n3\n", m=1), "no number 5"),
    "entries": (nl("O0 0\nn0\nG0 99999999\n0 1\nb\n3\n"), "more entries than lines"),
    "crossed": (nl("O0 0\nn0\nb\n0 2 1\n"), "cross"),
    "missing row": (nl("O0 0\nn0\nr\n4 0\nb\n3\n", m=1), "constraint is missing"),
    "complement": (nl("C0\nv0\nO0 0\nn0\nr\n5 1 0\nb\n3\n", m=1), "complementarity"),
    "two objectives": (GOOD.replace(" 1 0 1 0 0\n", " 1 0 2 0 0\n", 1), "2 objectives"),
    "python's digits": (GOOD.replace("n2", "n1_0"), "no finite number"),
    "underscored variable": (GOOD.replace("v0", "v0_0"), "no number"),
    "arabic digits": (GOOD.replace("n2", "n\u0662"), "."),
    "half an exponent": (GOOD.replace("n2", "n1e"), "no .nl file"),
    "hexadecimal": (GOOD.replace("n2", "n0x2"), "no .nl file"),
    "nan constant": (GOOD.replace("n2", "nnan"), "no finite number"),
    "infinite constant": (GOOD.replace("n2", "n1e999"), "no finite number"),
    "nan gradient": (nl("O0 0\nn0\nG0 1\n0 nan\nb\n3\n"), "no finite number"),
    "nan jacobian": (nl("C0\nn0\nO0 0\nv0\nr\n4 0\nb\n3\nJ0 1\n0 nan\n", m=1), "no finite"),
    "nan start": (nl("O0 0\nv0\nx1\n0 nan\nb\n3\n"), "no finite number"),
    "nan bound": (nl("O0 0\nv0\nb\n2 nan\n"), "no finite number"),
    "underscored bound": (nl("O0 0\nv0\nb\n2 1_0\n"), "no finite number"),
    "infinite lower bound": (nl("O0 0\nv0\nb\n2 inf\n"), "infinite on the wrong side"),
    "underscored header": (GOOD.replace("g3 1 1 0", "g3 1 1_0 0"), "no number"),
    "objective twice": (nl("O0 0\nv0\nO0 0\nv0\nb\n3\n"), "defined twice"),
    "another objective": (nl("O1 0\nv0\nb\n3\n"), "no number 1"),
    "segment": (nl("Q\nb\n3\n"), "unknown segment"),
}


def test_the_good_one_is_read(tmp_path):
    path = tmp_path / "m.nl"
    path.write_text(GOOD)
    assert read_nl(path).objective([3.0]) == 9.0
    path.write_bytes(GOOD.replace("\n", "\t# comment\r\n").encode())
    assert read_nl(path).objective([3.0]) == 9.0


@pytest.mark.parametrize("name", BAD_NL)
def test_bad_nl_files_are_refused(name, tmp_path):
    text, message = BAD_NL[name]
    path = tmp_path / "m.nl"
    path.write_text(text)
    with pytest.raises(FileError, match=message):
        read_nl(path)


def test_missing_files_are_named(tmp_path):
    for read in (read_nl, read_sol, read_onnx, load_weights):
        pytest.importorskip("onnx")
        with pytest.raises(FileError, match="no file"):
            read(tmp_path / "none")


def test_mutated_nl_files_are_read_or_refused(tmp_path):
    pytest.importorskip("pyomo.environ")
    from collocode.export.nl import write_nl

    source = write_nl(cc.discretize(decay(n=4)), tmp_path / "m.nl").path.read_text().split("\n")
    rng, path, refused = random.Random(0), tmp_path / "x.nl", 0
    pieces = [
        "",
        "o54",
        "v-1",
        "v99",
        "nnan",
        "o5",
        "C99",
        "k5",
        "r",
        "S0 99999999 x",
        "x9",
        "h3:a",
    ]
    for _ in range(300):
        lines = list(source)
        for _ in range(rng.randint(1, 3)):
            i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
            kind = rng.randrange(5)
            if kind == 0:
                lines = lines[: i + 1]
            elif kind == 1:
                lines[i] = rng.choice(pieces)
            elif kind == 2:
                lines[i], lines[j] = lines[j], lines[i]
            elif kind == 3:
                lines[i] = lines[i][: rng.randint(0, len(lines[i]))]
            else:
                lines[i] = lines[i].replace(rng.choice("0123456789"), rng.choice("0123456789-e."))
        path.write_text("\n".join(lines))
        with read_or_refused(path) as refusals:
            read_nl(path)
        refused += len(refusals)
    assert refused > 100


HARMFUL = {
    "nested": "'o16\\n' * 300_000 + 'v0\\n'",  # -(-(-(... x))): no recursion
    "powers": "'o5\\n' * 100_000 + 'v0\\n' + 'n2\\n' * 100_000",
    "sums": "'o0\\nv0\\n' * 200_000 + 'v0\\n'",
}


@pytest.mark.parametrize("name", [*HARMFUL, "doubling", "shared"])
def test_memory_stays_bounded(name, tmp_path):
    """In a process that may have 3 GiB in all; its stack is as usual."""
    if name == "doubling":  # V_k = V_{k-1} + V_{k-1}: a tree of 2^60
        body = "''.join(f'V{k} 0 0\\no0\\nv{k - 1}\\nv{k - 1}\\n' for k in range(1, 61))"
        body += " + 'O0 0\\nv60\\nb\\n3\\n'"
    elif name == "shared":  # every row uses a long chain of definitions: quadratic if followed
        body = "''.join(f'V{k} 0 0\\no41\\nv{k - 1}\\n' for k in range(1, 3001))"
        body += " + ''.join(f'C{i}\\no2\\nn{i}\\nv3000\\n' for i in range(3000)) + 'O0 0\\nn0\\n'"
        body += " + 'r\\n' + '3\\n' * 3000 + 'b\\n3\\n'"
    else:
        body = f"'O0 0\\n' + {HARMFUL[name]} + 'b\\n3\\n'"
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))\n"
        "from pathlib import Path\n"
        "from collocode.export.nl_read import read_nl\n"
        f"head = {nl('', m=3000 if name == 'shared' else 0)!r}\n"
        f"Path(sys.argv[1]).write_text(head + {body})\n"
        "print(read_nl(sys.argv[1]).objective([0.5]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "m.nl")],
        capture_output=True,
        text=True,
        timeout=HANGS,
    )
    assert run.returncode == 0, run.stderr[-500:]


# ---- networks and fits --------------------------------------------------------------------------


@pytest.fixture
def network():
    mlp = cc.MLP((2, 3, 1))
    return cc.TrainedNetwork(mlp, mlp.initial_weights(0))


def mutations(content, count=150):
    """Cut off, flipped and scrambled copies."""
    rng = random.Random(0)
    yield b""
    yield b"\x00" * 100
    for k in range(1, 8):
        yield content[: len(content) * k // 8]
    for _ in range(count):
        data = bytearray(content)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        yield bytes(data)


def test_onnx_files(network, tmp_path):
    onnx = pytest.importorskip("onnx")
    from collocode.export.onnx import write_onnx

    path = tmp_path / "n.onnx"
    write_onnx(network, path)
    content = path.read_bytes()
    for data in mutations(content):
        path.write_bytes(data)
        with read_or_refused(path):
            read_onnx(path)
    model = onnx.load_model_from_string(content)
    weights = model.graph.initializer[0]
    weights.raw_data = np.full(6, np.nan).tobytes()
    path.write_bytes(model.SerializeToString())
    with pytest.raises(FileError, match="not finite"):
        read_onnx(path)
    weights.dims[0] = 10**9
    path.write_bytes(model.SerializeToString())
    with pytest.raises(FileError, match="larger than the file"):
        read_onnx(path)
    weights.dims[0] = 3
    weights.data_location = onnx.TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(FileError, match="another file"):
        read_onnx(path)
    model = onnx.load_model_from_string(content)
    model.graph.node[1].op_type = "Loop"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(FileError, match="the operator Loop"):
        read_onnx(path)
    for other in (Path(__file__).read_bytes(), b"PK\x03\x04"):
        path.write_bytes(other)
        with pytest.raises(FileError):
            read_onnx(path)


def test_weight_files(network, tmp_path):
    path = tmp_path / "w.npz"
    save_weights(network, path)
    for data in mutations(path.read_bytes()):
        (tmp_path / "x.npz").write_bytes(data)
        with read_or_refused(tmp_path / "x.npz"):
            load_weights(tmp_path / "x.npz")
    W, b = network.network.matrices(network.weights)[0]
    np.savez(path, W1=W, b1=b, W2=np.array([[1.0, 2.0, np.nan]]), b2=np.zeros(1))
    with pytest.raises(FileError, match="not finite"):
        load_weights(path, network.network)
    with pytest.raises(FileError, match="not \\(4, 2\\)"):
        load_weights(path, cc.MLP((2, 4, 1)))
    with pytest.raises(FileError, match="is not a network, or it is damaged"):
        load_weights(path)
    np.savez(path, W1=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FileError):
        load_weights(path, network.network)


def test_weight_files_that_claim_too_much(network, tmp_path):
    import io
    import zipfile

    header = io.BytesIO()
    claim = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("W1.npy", header.getvalue() + b"\0" * 64)
    with pytest.raises(FileError, match="corrupt"):
        load_weights(tmp_path / "w.npz", network.network)


def test_saved_fits(tmp_path):
    path = tmp_path / "fit.npz"
    cc.fit(decay(n=6), mesh=2).save(path)
    for data in mutations(path.read_bytes(), 100):
        (tmp_path / "x.npz").write_bytes(data)
        with read_or_refused(tmp_path / "x.npz"):
            cc.load(tmp_path / "x.npz")
