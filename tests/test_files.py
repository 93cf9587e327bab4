"""Files: trees come back bit by bit, a write that fails harms nothing, a bad file is one sentence."""

import errno
import io
import os
import pickle
import random
import resource
import signal
import stat
import string
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from collocode.archives import Schema
from collocode.errors import FileError
from collocode.files import clear_leftovers, plain, read_bytes, read_npz, replacing, write_text

SHELF = Schema("shelf", 3, "a shelf", object, largest=2**24)
TEXT = Schema("list", 1, "a list", object, suffix=".json")
TREE = {
    "name": "oscillator",
    "x": np.linspace(0.0, 1.0, 40),
    "parts": [{"y": np.arange(6).reshape(2, 3), "end": float("nan")}, {}, None],
}

# ---- what goes in comes out -------------------------------------------------------------------

KINDS = st.sampled_from(["<f8", ">f8", "<f4", "<i8", "u1", "?", "<c16", "<U3", "S2"])
KEYS = st.text(max_size=6) | st.sampled_from(
    ["$array", "$float", "$", "header", "a.b", "../x", "file", "allow_pickle"]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | KINDS.flatmap(
        lambda kind: arrays(np.dtype(kind), array_shapes(min_dims=0, min_side=0, max_side=3))
    )
)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)


def same(one, other):
    """Equal in kind, shape and every bit (not in the sign of NaN, which JSON does not know)."""
    if isinstance(one, np.ndarray):
        return (
            isinstance(other, np.ndarray)
            and (one.dtype, one.shape) == (other.dtype, other.shape)
            and one.tobytes() == other.tobytes()
        )
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return isinstance(other, float) and repr(one) == repr(other)
    return type(one) is type(other) and one == other


@settings(max_examples=60, deadline=None)
@given(tree=st.dictionaries(KEYS, TREES, max_size=4))
@example(tree={"a": {"b": np.zeros(1)}, "a.b": np.ones(2), "a_b": np.ones(1), "header": np.ones(1)})
@example(tree={"$array": "x", "$float": {"$array": np.zeros(2)}})
@example(tree={"x": np.asfortranarray(np.arange(6.0).reshape(2, 3))})
def test_every_tree_comes_back(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("tree") / "t.npz"
    SHELF.write(path, tree)
    assert same(tree, SHELF.read(path, dict))


def test_arrays_have_their_place_in_the_tree_as_names(tmp_path):
    path = SHELF.write(tmp_path / "run", TREE)
    assert path.name == "run.npz"  # the suffix is added, and found
    assert SHELF.read(tmp_path / "run", lambda tree: tree["name"]) == "oscillator"
    with np.load(path, allow_pickle=False) as stored:
        assert sorted(stored.files) == ["header", "parts.0.y", "x"]
        np.testing.assert_array_equal(stored["parts.0.y"], TREE["parts"][0]["y"])
    assert read_npz(path, 2**20, "numbers").keys() == {"header", "parts.0.y", "x"}


def test_the_same_tree_gives_the_same_bytes(tmp_path):
    one, other = (SHELF.write(tmp_path / name, TREE).read_bytes() for name in ("a", "b"))
    assert one == other


def test_a_tree_without_arrays_is_a_text_file(tmp_path):
    path = TEXT.write(tmp_path / "list.json", {"rows": {"1.0": [1, float("inf"), None]}})
    assert '"schema": "collocode list"' in path.read_text()
    assert TEXT.read(path, dict) == {"rows": {"1.0": [1, float("inf"), None]}}
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileError, match="is not a list, or it is damaged"):
        TEXT.read(path, dict)


@pytest.mark.parametrize("value", [np.array([{}]), {1, 2}, object(), np.zeros(1, "M8[s]")])
def test_what_is_no_data_is_not_written(tmp_path, value):
    with pytest.raises(TypeError, match=r"deep\.0 .*archives hold numbers"):
        SHELF.write(tmp_path / "x.npz", {"deep": [value]})
    assert not any(tmp_path.iterdir())


def test_plain_is_what_json_knows():
    given = {1: np.array([1.0, np.nan]), "s": stat.S_ISREG, "t": (np.int64(3), float("inf"))}
    given["s"] = signal.SIGINT
    assert plain(given) == {"1": [1.0, None], "s": 2, "t": [3, None]}


# ---- a write that fails -------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    """A file that has to survive."""
    return SHELF.write(tmp_path / "run.npz", {"old": np.arange(3)})


def is_unharmed(path):
    assert SHELF.read(path, lambda tree: tree["old"].tolist()) == [0, 1, 2]
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_full_disk_leaves_the_old_file(kept):
    """No more than a kilobyte for any file: the system's own refusal."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        with pytest.raises(FileError, match=r"cannot write .*run\.npz \(.*\); check the folder"):
            SHELF.write(kept, {"new": np.random.default_rng(0).random(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    is_unharmed(kept)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_no_step_harms_the_old_file(kept, monkeypatch, step):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse)
        with pytest.raises(FileError, match="No space left on device"):
            SHELF.write(kept, TREE)
    is_unharmed(kept)


def test_content_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    steps = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *given, n=name, f=function: (steps.append(n), f(*given))[1]
        )
    SHELF.write(tmp_path / "run.npz", TREE)
    assert steps == ["fsync", "replace", "fsync"]  # the file, its place, the folder


@contextmanager
def as_somebody():
    """Root may do everything: be somebody else for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_must_not_be_written_is_named(kept):
    kept.parent.chmod(0o555)
    with (
        as_somebody(),
        pytest.raises(FileError, match=r"cannot write .* \(Permission denied\); check the"),
    ):
        SHELF.write(kept, TREE)
    kept.parent.chmod(0o755)
    is_unharmed(kept)


@pytest.mark.parametrize("folder", ["nowhere", "file"])
def test_a_folder_that_is_none_is_named(tmp_path, folder):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=rf"cannot write .*{folder}.*; check the folder"):
        write_text(tmp_path / folder / "x.txt", "x")


def test_an_interrupt_leaves_nothing(kept):
    def half():
        with replacing(kept) as (aside,):
            aside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    is_unharmed(kept)


HALF = """
import sys, time
from pathlib import Path
from collocode.files import replacing
with replacing(Path(sys.argv[1])):
    print("writing", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_left_is_removed_when_it_is_gone(kept):
    folder = kept.parent
    command = [sys.executable, "-c", HALF, kept]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "writing\n"
            (left,) = folder.glob(".*")
            (folder / ".collocode-unfinished-notes").mkdir()  # somebody's
            clear_leftovers(folder)
            assert left.exists()  # it is still at work
        finally:
            process.kill()
    assert left.exists()
    clear_leftovers(folder)
    assert not left.exists()
    (folder / ".collocode-unfinished-notes").rmdir()
    is_unharmed(kept)


def test_others_may_read_what_is_written(tmp_path):
    write_text(tmp_path / "made.txt", "x")
    (tmp_path / "plain.txt").touch()
    assert (tmp_path / "made.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


KILLED = """
import os, signal, sys
import numpy as np
from collocode.archives import Schema

shelf = Schema("shelf", 3, "a shelf", object, compress=False)
number = 0
print("begun", flush=True)
while True:
    number += 1
    shelf.write(sys.argv[1], {"number": number, "x": np.full(200_000, float(number))})
"""


def test_a_killed_write_leaves_a_whole_file(tmp_path):
    path = tmp_path / "run.npz"
    for wait in (0.01, 0.05, 0.1):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ) as run:
            assert run.stdout.readline() == b"begun\n"
            while not path.exists():
                assert run.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                run.wait(wait)
            run.kill()
        number, x = SHELF.read(path, lambda tree: (tree["number"], tree["x"]))
        np.testing.assert_array_equal(x, np.full(200_000, float(number)))
        path.unlink()


# ---- a bad file -----------------------------------------------------------------------------------


def refused(path, message, schema=SHELF):
    with pytest.raises(FileError, match=message) as caught:
        schema.read(path, dict)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_missing_files(tmp_path):
    refused(tmp_path / "none.npz", r"there is no file .*; check the path")
    refused(tmp_path, "is a folder; name the file in it")
    os.mkfifo(tmp_path / "pipe.npz")  # reading it would wait for ever
    refused(tmp_path / "pipe.npz", "there is no file")


def test_a_file_that_must_not_be_read(kept, monkeypatch):
    monkeypatch.chdir(kept.parent)  # nobody else may enter it from above
    kept.parent.chmod(0o755)
    kept.chmod(0o200)
    with as_somebody():
        refused(Path(kept.name), r"cannot be read \(Permission denied\); check its permissions")


def test_a_file_of_another_kind(tmp_path):
    path = Schema("network", 3, "a network", object).write(tmp_path / "n.npz", {"x": 1})
    refused(path, r"holds 'network', which is not a shelf \('shelf'\); name another file")


@pytest.mark.parametrize(("version", "remedy"), [(4, "update collocode"), (2, "make it anew")])
def test_a_file_of_another_version(tmp_path, version, remedy):
    path = Schema("shelf", version, "a shelf", object).write(tmp_path / "n.npz", {"x": 1})
    refused(path, f"is a shelf in version {version} .* reads version 3; {remedy}")


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 0.9, 0.99])
def test_truncated_files(kept, share):
    content = kept.read_bytes()
    kept.write_bytes(content[: int(share * len(content))])
    refused(kept, "is not a shelf, or it is damaged .*; name another file or make it anew")


def test_foreign_files(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.ones(3))
    refused(path, r"'header' is missing")
    np.savez(path, header=np.frombuffer(b"[1, 2]", np.uint8))
    refused(path, "is not a shelf")
    deep = b'{"schema": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    np.savez(path, header=np.frombuffer(deep, np.uint8))
    refused(path, "is not a shelf")
    path.write_bytes(b"times,values\n0,1\n")
    refused(path, "is not a shelf")


def test_what_fails_in_the_owners_reader_is_the_files_fault(kept):
    with pytest.raises(FileError, match=r"run\.npz is not a shelf, .*\('new' is missing\)"):
        SHELF.read(kept, lambda tree: tree["new"])


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_nothing_is_unpickled(kept, tmp_path):
    trap, path = tmp_path / "executed", tmp_path / "evil.npz"
    evil = np.array([Malicious(trap)], dtype=object)
    np.savez(path, allow_pickle=True, header=evil)
    refused(path, "holds neither numbers nor text")
    with np.load(kept) as stored:
        np.savez(path, allow_pickle=True, header=stored["header"], old=evil)
    refused(path, "holds neither numbers nor text")
    assert read_npz(path, 2**20, "numbers", skip=True).keys() == {"header"}
    path.write_bytes(pickle.dumps(Malicious(trap)))
    refused(path, "is not a shelf")
    assert not trap.exists()


def member(shape, content=b"", descr="<f8"):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return stream.getvalue() + content


@pytest.mark.parametrize(
    "content",
    [
        member((10**15,)),
        member((10**9, 10**9)),
        member((-1,), bytes(8)),
        member((-2, -2), bytes(32)),
        member((3,), bytes(16)),
        member((3,), bytes(32)),
        member((10**15,), descr="<U1000"),
        b"small",
        b"",
    ],
)
def test_arrays_that_claim_what_is_not_there(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("header.npy", content)
    refused(tmp_path / "x.npz", "is not a shelf, or it is damaged")


def test_bombs_are_refused_unread(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:  # 1000 times its size
        archive.writestr("header.npy", member((2**22,), bytes(2**25)))
    assert path.stat().st_size < 2**16
    refused(path, "holds more than 16777216 bytes, too much for a shelf; name another file")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", b"small")
        archive.filelist[0].file_size = 3 * 2**30  # what the directory claims
    refused(path, "too much for a shelf")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:  # unpacks without a limit
        archive.writestr("header.npy", member((4,), bytes(32)))
    refused(path, "packed by an unusual method")


def test_large_text_is_refused(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(string.ascii_letters)
    assert read_bytes(path, 52, "letters") == string.ascii_letters.encode()
    with pytest.raises(FileError, match="holds more than 51 bytes, too much for letters"):
        read_bytes(path, 51, "letters")


def read_or_refused(path):
    try:
        SHELF.read(path, dict)
    except FileError as error:
        return str(path) in str(error)
    return False


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return SHELF.write(tmp_path_factory.mktemp("whole") / "run.npz", TREE)


def test_mutated_files_are_read_or_refused(whole, tmp_path):
    content, rng, count = whole.read_bytes(), random.Random(0), 0
    for _ in range(300):
        data = bytearray(content[: rng.choice([len(content), rng.randrange(len(content))])])
        for _ in range(rng.randint(1, 6)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / "x.npz").write_bytes(data)
        count += read_or_refused(tmp_path / "x.npz")
    assert count > 200


def test_mutations_behind_the_checksum_are_read_or_refused(whole, tmp_path):
    """The zip's checksum catches most damage, so change the members and sign them anew."""
    with zipfile.ZipFile(whole) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    rng, count = random.Random(0), 0
    for _ in range(300):
        name = rng.choice(sorted(members))
        data = bytearray(members[name])
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            for other, content in members.items():
                archive.writestr(other, bytes(data) if other == name else content)
        count += read_or_refused(tmp_path / "x.npz")
    assert count > 100
