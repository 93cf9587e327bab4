"""Files: everything comes back bit by bit, and nothing that is not data comes in."""

import io
import json
import os
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import collocode as cc
from tests.problems import decay, driven, van_der_pol_data, van_der_pol_neural


def neural_problem():
    data = van_der_pol_data(n=20, sigma=0.05, weights=2.0, initial={"y1": cc.weighted(0.0, 0.1)})
    return van_der_pol_neural(
        data,
        sizes=(2, 3, 2),
        test=van_der_pol_data(n=5, name="test", initial={"y1": 0.0, "y2": 1.0}),
    )


@pytest.fixture(scope="module", params=["neural", "driven", "decay", "two runs"])
def solution(request):
    if request.param == "neural":
        return cc.fit(neural_problem(), options={"max_iter": 20}, mesh=None)
    if request.param == "driven":
        return cc.fit(driven(), mesh=None)
    if request.param == "decay":
        return cc.fit(decay(), "gauss", 2, mesh=None)
    k = cc.Parameter("k", 1.0, per_experiment=True)
    runs = [replace(decay(v).experiments[0], name=str(v)) for v in (0.7, 1.4)]
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[k])
    return cc.fit(cc.Problem(dynamics, runs), mesh=None)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "fit.npz"
    cc.fit(neural_problem(), options={"max_iter": 20}, mesh=None).save(path)
    return path


def arrays_of(path):
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def rewritten(path, target, change):
    """Write the file once more with some arrays or header entries changed."""
    arrays = arrays_of(path)
    header = json.loads(bytes(arrays["header"]))
    change(arrays, header["content"])
    if "header" in arrays:
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    np.savez_compressed(target, **arrays)
    return target


def test_everything_comes_back_bit_by_bit(solution, tmp_path):
    path = tmp_path / "fit.npz"
    solution.save(path)
    again = cc.load(path)
    assert (again.name, again.status, again.nlp) == (solution.name, solution.status, None)
    assert again.parameters == solution.parameters
    for key in ("x", "lam_g", "lam_x"):
        np.testing.assert_array_equal(getattr(again.result, key), getattr(solution.result, key))
    assert again.result.timings == solution.result.timings
    assert again.result.options == solution.result.options
    assert set(again.result.history) == set(solution.result.history)
    for one, other in zip(again.trajectories, solution.trajectories, strict=True):
        for key in ("times", "states", "multipliers", "parameters"):
            np.testing.assert_array_equal(getattr(one, key), getattr(other, key))
        np.testing.assert_array_equal(one.mesh.points, other.mesh.points)
        np.testing.assert_array_equal(one.experiment.values, other.experiment.values)
        assert one.experiment.initial == other.experiment.initial
    part = solution.trajectories[0]
    t = np.linspace(part.mesh.start, part.mesh.end, 31)
    np.testing.assert_array_equal(again.states(t), solution.states(t))
    np.testing.assert_array_equal(again.predict(t), solution.predict(t))
    np.testing.assert_array_equal(again.fitted(t), solution.fitted(t))
    assert again.model.networks == solution.model.networks
    assert [s.role for s in again.score()] == [s.role for s in solution.score()]


@pytest.mark.parametrize("rates", [(0.7,), (0.7, 0.7), (0.7, 1.4)])
def test_parameters_of_each_run_keep_their_names(rates, tmp_path):
    """Whether one run was fitted, several alike, or different ones."""
    own, shared = cc.Parameter("k", 1.0, per_experiment=True), cc.Parameter("a", 0.5)
    dynamics = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c + 0 * p.a], parameters=[own, shared])
    runs = [replace(decay(v).experiments[0], name=f"run {i}") for i, v in enumerate(rates)]
    fitted = cc.fit(cc.Problem(dynamics, runs), mesh=None)
    names = [*(f"k[run {i}]" for i in range(len(rates))), "a"]
    assert list(fitted.parameters) == names
    fitted.save(tmp_path / "fit.npz")
    assert cc.load(tmp_path / "fit.npz").parameters == fitted.parameters
    cc.load(tmp_path / "fit.npz").save(tmp_path / "again.npz")
    assert cc.load(tmp_path / "again.npz").parameters == fitted.parameters


def test_a_network_has_finite_weights():
    network = cc.MLP((1, 2, 1))
    for bad in (np.nan, np.inf):
        weights = network.initial_weights(0)
        weights[3] = bad
        with pytest.raises(cc.InputError, match="needs finite weights"):
            cc.TrainedNetwork(network, weights)


def test_saving_twice_gives_the_same_arrays(solution, tmp_path):
    for name in ("one", "two"):
        solution.save(tmp_path / name)  # the suffix is added
    one, two = (arrays_of(tmp_path / f"{n}.npz") for n in ("one", "two"))
    assert set(one) == set(two)
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])


def test_a_loaded_solution_starts_a_new_fit(saved):
    old = cc.load(saved)
    nlp = cc.start_from(cc.discretize(neural_problem(), mesh=10), old)
    np.testing.assert_array_equal(nlp.start[nlp.layout.weights], old.model.theta)


def test_saving_replaces_in_one_step_and_names_a_bad_folder(tmp_path):
    solution = cc.fit(decay(), mesh=None)
    path = tmp_path / "fit.npz"
    path.write_bytes(b"old")
    solution.save(path)
    assert cc.load(path).parameters == solution.parameters
    assert [p.name for p in tmp_path.iterdir()] == ["fit.npz"]
    with pytest.raises(cc.FileError, match=r"cannot write .*nowhere.*; check the folder"):
        solution.save(tmp_path / "nowhere" / "fit.npz")


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("victim", ["header", "model.theta", "model.rhs.code", "scheme.D"])
def test_loading_never_unpickles(saved, tmp_path, victim):
    trap = tmp_path / "executed"
    arrays = arrays_of(saved)
    arrays[victim] = np.array([Malicious(trap)], dtype=object)
    np.savez(tmp_path / "evil.npz", allow_pickle=True, **arrays)
    with pytest.raises(cc.FileError, match=r"evil.npz"):
        cc.load(tmp_path / "evil.npz")
    assert not trap.exists()


def test_a_bare_pickle_is_no_solution_either(tmp_path):
    trap = tmp_path / "executed"
    (tmp_path / "evil.npz").write_bytes(pickle.dumps(Malicious(trap)))
    with pytest.raises(cc.FileError):
        cc.load(tmp_path / "evil.npz")
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a solution, or it is damaged"),
        (b"PK\x03\x04 and then nothing", "is not a solution, or it is damaged"),
        (b"times,values\n0,1\n", "is not a solution, or it is damaged"),
    ],
)
def test_foreign_files_are_refused(tmp_path, content, message):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(cc.FileError, match=message) as caught:
        cc.load(path)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(cc.FileError, match=r"there is no file .*; check the path"):
        cc.load(tmp_path / "none.npz")
    with pytest.raises(cc.FileError, match=r"is a folder; name the file in it that is a solution"):
        cc.load(tmp_path)


def test_other_npz_files_are_refused(tmp_path):
    path = tmp_path / "plain.npz"
    np.savez(path, a=np.ones(3))
    with pytest.raises(cc.FileError, match="is not a solution"):
        cc.load(path)


def set_code(index, value):
    def change(arrays, header):
        arrays["model.rhs.code"] = arrays["model.rhs.code"].copy()
        arrays["model.rhs.code"][index] = value

    return change


def put(name, value):
    def change(arrays, header):
        arrays[name] = np.asarray(value(arrays[name]))

    return change


def head(function):
    return lambda arrays, header: function(header)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (head(lambda h: h.pop("model")), "is not a solution"),
        (head(lambda h: h["model"].update(states=["a"])), "does not fit"),
        (head(lambda h: h["result"].update(termination="NONSENSE")), "is not a solution"),
        (head(lambda h: h["model"]["networks"].update(nn={"sizes": [2, -1]})), "is not a solution"),
        (head(lambda h: h["scheme"].update(dense=[0, 99])), "is not a solution"),
        (head(lambda h: h["result"].update(timings="none")), "is not a solution"),
        (lambda a, h: a.pop("header"), "is not a solution"),
        (lambda a, h: a.pop("model.rhs.code"), "'model.rhs.code' is missing"),
        (set_code(3, 99), "'rhs' is corrupt"),
        (set_code(3, -1), "'rhs' is corrupt"),
        (put("model.rhs.target", lambda v: v + 10_000), "'rhs' is corrupt"),
        (put("model.rhs.target", lambda v: -1 - v), "'rhs' is corrupt"),
        (put("model.rhs.operands", lambda v: v + 10_000), "'rhs' is corrupt"),
        (put("model.rhs.operands", lambda v: v[:, :1]), r"operands does not fit.* not \(\d+, 2\)"),
        (put("model.rhs.constants", lambda v: v[:-1]), "constants does not fit"),
        (put("model.rhs.header", lambda v: v[:1]), "'rhs' is incomplete"),
        (put("model.rhs.header", lambda v: np.append(10**9, v[1:])), "'rhs' is corrupt"),
        (put("model.rhs.header", lambda v: v + 1), "."),
        (put("model.theta", lambda v: v[:-1]), "does not fit"),
        (put("model.theta", lambda v: v * np.nan), "theta has values that are not finite"),
        (put("trajectories.0.states", lambda v: v * np.inf), "states has values that are not"),
        (head(lambda h: h.update(own_names=["k"])), "a parameter is not the model's"),
        (put("model.parameters", lambda v: np.ones(3)), "parameters do not fit their names"),
        (put("result.x", lambda v: v.astype("U8")), "x is an array of <U8 and not of float64"),
        (head(lambda h: h.update(trajectories=[])), "belongs to nothing"),
        (put("trajectories.0.states", lambda v: v[:-1]), "trajectories.0.states does not fit"),
        (put("trajectories.0.states", lambda v: v.astype("U8")), "is not a solution"),
        (put("trajectories.0.times", lambda v: v[:-1]), "is not a solution"),
        (put("trajectories.0.mesh", lambda v: v[::-1]), "is not a solution"),
        (put("trajectories.0.experiment.times", lambda v: v * np.nan), "is not a solution"),
        (put("scheme.D", lambda v: v[:, :-1]), "is not a solution"),
        (put("scheme.nodes", lambda v: v[None]), "is not a solution"),
    ],
)
def test_tampered_files_are_refused(saved, tmp_path, change, message):
    target = rewritten(saved, tmp_path / "tampered.npz", change)
    with pytest.raises(cc.FileError, match=message):
        cc.load(target)


def test_a_bomb_is_refused_unread(saved, tmp_path):
    target = tmp_path / "bomb.npz"
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("header.npy", b"small")
        archive.filelist[0].file_size = 3 * 2**30  # what the directory claims
    with pytest.raises(
        cc.FileError, match="holds more than 2147483648 bytes, too much for a solution"
    ):
        cc.load(target)


def test_an_array_that_claims_more_than_there_is_memory_is_refused(tmp_path):
    stream = io.BytesIO()
    description = {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
    np.lib.format.write_array_header_1_0(stream, description)
    target = tmp_path / "huge.npz"
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("header.npy", stream.getvalue())
    with pytest.raises(cc.FileError, match="is not a solution"):
        cc.load(target)


def use(path):
    """Load and use a file; whatever happens, only a `FileError` may come out of loading."""
    try:
        solution = cc.load(path)
    except cc.FileError:
        return
    solution.states([solution.trajectories[0].mesh.start])


@settings(max_examples=100)
@given(position=st.integers(0, 10**9), value=st.integers(1, 255))
def test_flipped_bytes_only_ever_raise_file_errors(saved, tmp_path_factory, position, value):
    content = bytearray(saved.read_bytes())
    content[position % len(content)] ^= value
    path = tmp_path_factory.mktemp("flip") / "flipped.npz"
    path.write_bytes(content)
    use(path)


@settings(max_examples=150)
@given(position=st.integers(0, 10**9), value=st.integers(1, 255))
def test_flipped_bytes_behind_the_checksum_do_neither(saved, tmp_path_factory, position, value):
    """The zip's checksum catches most damage, so change the arrays and sign them anew."""
    with zipfile.ZipFile(saved) as archive:
        members = {name: bytearray(archive.read(name)) for name in sorted(archive.namelist())}
    names = list(members)
    victim = members[names[position % len(names)]]
    victim[(position // len(names)) % len(victim)] ^= value
    path = tmp_path_factory.mktemp("flip") / "signed.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, bytes(content))
    use(path)


@settings(max_examples=25)
@given(st.binary(max_size=300))
def test_random_bytes_only_ever_raise_file_errors(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("random") / "random.npz"
    path.write_bytes(content)
    with pytest.raises(cc.FileError):
        cc.load(path)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.99])
def test_truncated_files_are_refused(saved, tmp_path, share):
    content = saved.read_bytes()
    path = tmp_path / "half.npz"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(cc.FileError):
        cc.load(path)


def test_the_file_is_plain_npz(saved):
    with zipfile.ZipFile(io.BytesIO(saved.read_bytes())) as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())
    header = json.loads(bytes(arrays_of(saved)["header"]))
    assert (header["schema"], header["version"]) == ("collocode solution", 1)
