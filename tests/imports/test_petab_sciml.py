"""PEtab-SciML: networks in models, observables and starts, against closed forms and NumPy."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import collocode as cc

from .conftest import decay, sbml
from .test_petab_version2 import write

h5py = pytest.importorskip("h5py")
DATA = Path(__file__).parents[2] / "models" / "data" / "lotka_volterra_sciml"
W1, B1 = np.array([[0.3, -0.2], [0.1, 0.4], [-0.5, 0.2]]), np.array([0.1, 0.0, -0.1])
W2, B2 = np.array([[0.2, 0.7, -0.3]]), np.array([0.4])
ENDS = ["i1 net.inputs[0][0]", "i2 net.inputs[0][1]", "o net.outputs[0][0]", "ps net.parameters"]


def layer(name, inputs, outputs, kind="Linear"):
    return {"layer_id": name, "layer_type": kind, "args": {"in_features": inputs, "out_features": outputs}}  # fmt: skip


def step(name, op, *arguments, **options):
    target = options.pop("target", name)
    return {"name": name, "op": op, "target": target, "args": list(arguments), "kwargs": options}


def net(act="tanh", **options):
    steps = [
        step("z", "placeholder"),
        step("one", "call_module", "z"),
        step("a", "call_method", "one", target=act, **options),
        step("two", "call_module", "a"),
        step("output", "output", "two"),
    ]
    return {"layers": [layer("one", 2, 3), layer("two", 3, 1)], "forward": steps}


def of(z):
    """The network in NumPy."""
    return float((W2 @ np.tanh(W1 @ np.asarray(z, dtype=float) + B1) + B2)[0])


def hybrid(folder, targets, mapping=ENDS, network=None, arrays=(), sciml="", **tables):
    """A -> B by k A V with a network; rows as in `write`."""
    import yaml

    tables = {
        "condition": ["conditionId targetId targetValue"],
        "experiment": ["experimentId time conditionId", "e 0 -"],
        "observable": ["observableId observableFormula noiseFormula", "a A 0.1"],
        "measurement": ["observableId experimentId measurement time", "a e 2.5 1", "a e 2 2"],
        "parameter": [
            "parameterId lowerBound upperBound nominalValue estimate",
            "k 0.01 9 0.5 true",
            "ps -inf inf array true",
        ],
    } | tables
    path = write(
        folder,
        sbml(decay()),
        mapping=["petabEntityId modelEntityId", *mapping],
        hybridization=["targetId targetValue", *targets],
        **tables,
    )
    extension = (
        "extensions:\n  sciml:\n    array_files: [net.hdf5]\n    hybridization_files: [hybridization.tsv]\n"
        "    neural_networks: {net: {location: net.yaml, format: YAML}}\n"
    )
    text = path.read_text().replace("extensions: {}\n", sciml or extension)
    path.write_text(text.replace("\nhybridization_files: [hybridization.tsv]", ""))
    (folder / "net.yaml").write_text(yaml.safe_dump(network or net()))
    with h5py.File(folder / "net.hdf5", "w") as file:
        for name, value in {
            "one/weight": W1,
            "one/bias": B1,
            "two/weight": W2,
            "two/bias": B2,
        }.items():
            file[f"parameters/net/{name}"] = value
        for name, value in dict(arrays).items():
            file[name] = value
    return path


def test_a_network_before_the_simulation_is_a_number(tmp_path):
    path = hybrid(tmp_path, ["k o", "i1 2*c", "i2 -0.5"], parameter=[
        "parameterId lowerBound upperBound nominalValue estimate", "c 0 9 1.5 true", "ps -inf inf array false",
    ])  # fmt: skip
    problem = cc.read_petab(path)
    assert [q.id for q in problem.estimated] == ["c"]
    k = of([3.0, -0.5])
    assert cc.simulate_petab(problem).h == pytest.approx(3 * np.exp(-k * np.array([1.0, 2.0])))
    assert not cc.from_petab(problem).dynamics.networks


def test_a_network_in_the_rates_is_one_of_the_dynamics(tmp_path):
    problem = cc.read_petab(hybrid(tmp_path, ["k o", "i1 A", "i2 0.5*B"]))
    made = cc.from_petab(problem)
    mlp = made.dynamics.networks["net"]
    assert (mlp.sizes, mlp.activation) == ((2, 3, 1), "tanh")
    x, theta = np.array([2.0, 3.0]), mlp.initial_weights()
    assert mlp(np.array([1.0, 2.0]), theta) == pytest.approx(of([1.0, 2.0]))
    nlp = cc.discretize(made, mesh=2)
    rate = cc.TrainedModel.of(nlp, nlp.start).rhs([0.0], x[None])[0]
    assert rate == pytest.approx([-of([2.0, 1.5]) * 2.0, 2 * 2.0 * of([2.0, 1.5]) * 2.0])


def test_a_network_in_an_observable_has_weights_as_parameters(tmp_path):
    observable = ["observableId observableFormula noiseFormula", "a o+A 0.1"]
    problem = cc.read_petab(hybrid(tmp_path, ["i1 A", "i2 k"], observable=observable))
    A = 3 * np.exp(-0.5 * np.array([1.0, 2.0]))
    assert cc.simulate_petab(problem).h == pytest.approx([of([a, 0.5]) + a for a in A])
    changed = cc.simulate_petab(problem, {"net.two.bias[0]": 1.4}).h
    assert changed - cc.simulate_petab(problem).h == pytest.approx([1.0, 1.0])
    names = {q.name for q in cc.from_petab(problem).all_parameters}
    assert {"net.one.weight[2,1]", "net.two.bias[0]", "k"} <= names


def test_a_network_sets_an_initial_value_from_arrays_by_condition(tmp_path):
    problem = cc.read_petab(
        hybrid(
            tmp_path,
            ["A o", "i array"],
            mapping=["i net.inputs[0]", *ENDS[2:]],
            arrays={"inputs/i/low": [0.1, 0.2], "inputs/i/high": [2.0, 1.0]},
            experiment=["experimentId time conditionId", "e 0 low", "f 0 high"],
            measurement=["observableId experimentId measurement time", "a e 2.5 1", "a f 2 1"],
        )
    )
    h = cc.simulate_petab(problem).h
    assert h == pytest.approx(np.exp(-0.5) * np.array([of([0.1, 0.2]), of([2.0, 1.0])]))


def test_layers_and_arrays_have_rows_of_their_own(tmp_path):
    rows = [
        "parameterId lowerBound upperBound nominalValue estimate priorDistribution priorParameters"
    ]
    rows += [
        "k 0.01 9 0.5 true - -",
        "ps -inf inf array true normal 0;2",
        "l -inf inf 0.25 false - -",
    ]
    rows += ["b -inf inf array true normal 0;3"]
    mapping = [*ENDS, "l net.parameters[two]", "b net.parameters[one].bias"]
    problem = cc.read_petab(hybrid(tmp_path, ["k o", "i1 A", "i2 B"], mapping, parameter=rows))
    known = {q.id: q for q in problem.tables.parameters}
    assert known["net.two.weight[0,1]"].nominal == 0.25
    assert not known["net.two.bias[0]"].estimated
    assert known["net.one.bias[2]"].prior == ("normal", (0.0, 3.0))
    assert known["net.one.weight[2,0]"].prior == ("normal", (0.0, 2.0))
    assert known["net.one.weight[2,0]"].nominal == W1[2, 0]


def test_the_example_is_fitted_written_and_read_again(tmp_path):
    for file in DATA.iterdir():
        shutil.copy(file, tmp_path)
    problem = cc.read_petab(tmp_path / "problem.yaml")
    found = cc.fit(cc.from_petab(problem))
    assert found.success
    assert found.parameters["alpha"] == pytest.approx(1.3, abs=0.05)
    states = found.states(np.linspace(0.0, 8.0, 41))
    growth = [found.model.network("net")(x)[0] for x in states]
    assert np.std(growth - 0.8 * states[:, 0] * states[:, 1]) < 0.15 * np.std(growth)
    nllh = cc.simulate_petab(problem, found).nllh
    found.save(tmp_path / "kept")
    kept = cc.load(tmp_path / "kept.npz")
    assert cc.simulate_petab(problem, kept).nllh == pytest.approx(nllh, rel=1e-12)
    assert nllh < -80.0
    cc.write_petab_parameters(found, problem, tmp_path / "parameters.tsv")
    text = (tmp_path / "problem.yaml").read_text()
    (tmp_path / "problem.yaml").write_text(text.replace("net.hdf5", "parameters_arrays.hdf5"))
    again = cc.read_petab(tmp_path / "problem.yaml")
    assert cc.simulate_petab(again).nllh == pytest.approx(nllh, rel=1e-9)


def test_the_command_writes_table_and_weights(tmp_path):
    from typer.testing import CliRunner

    from collocode.cli.main import app

    path = hybrid(tmp_path, ["k o", "i1 2", "i2 -0.5"], parameter=[
        "parameterId lowerBound upperBound nominalValue estimate", "ps -inf inf array false",
        "b -inf inf array true",
    ], mapping=[*ENDS, "b net.parameters[two].bias"])  # fmt: skip
    out = tmp_path / "out"
    run = CliRunner().invoke(app, ["solve", str(path), "--out", str(out), "--no-plots"])
    assert run.exit_code == 0, run.output
    with h5py.File(out / "petab_parameters_arrays.hdf5") as file:
        assert file["parameters/net/one/weight"][()] == pytest.approx(W1)
        k = -np.log([2.5 / 3, 2 / 3]) / [1, 2]
        found = of([2.0, -0.5]) + file["parameters/net/two/bias"][0] - B2[0]
        assert k.min() < found < k.max()


def _twice(network):
    network["forward"][3]["args"] = ["one"]
    return network


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (net("gelu"), r"net\.yaml has 'gelu' \(a\), which is not supported; Linear"),
        (net("softplus", beta=2.0), "'softplus with beta'"),
        ({**net(), "layers": [layer("one", 2, 3, "Conv1d"), layer("two", 3, 1)]}, "'Conv1d'"),
        ({**net(), "layers": [layer("one", 2, 4), layer("two", 3, 1)]}, "sizes do not fit"),
        (_twice(net()), "no chain of layers, as 'two'"),
        ({"layers": [layer("one", 2, 1)], "forward": [*net()["forward"][:3], step("output", "output", "a")]},
         "begin and end with Linear"),
    ],
)  # fmt: skip
def test_what_is_no_perceptron_is_refused_by_name(tmp_path, network, sentence):
    with pytest.raises(cc.InputError, match=sentence):
        cc.read_petab(hybrid(tmp_path, ["k o", "i1 A", "i2 B"], network=network))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"targets": ["k o", "i1 A", "i2 B", "V7 o"]}, "'V7' in the hybridization table"),
        ({"targets": ["k o", "k o", "i1 A", "i2 B"]}, "sets 'k' twice"),
        ({"targets": ["k o", "i1 o", "i2 B"]}, "in a circle"),
        ({"mapping": ENDS[1:]}, "names 1 input of network 'net', which has 2"),
        ({"mapping": [*ENDS, "p net.outputs[0][4]"]}, "names output 4"),
        ({"mapping": [*ENDS[:3], "ps net.weights"]}, "no part of a network"),
        ({"mapping": ENDS[:3]}, "no row for weight of layer 'one'"),
        ({"sciml": "extensions: {sciml: {neural_networks: {net: {location: n.pt, format: torch}}}}\n"},
         "in format 'torch'"),
        ({"sciml": "extensions: {sciml: {}}\n", "targets": []}, "otherwise than PEtab 2|without neural"),
        ({"arrays": {"parameters/net/three": h5py.SoftLink("/parameters")}}, "link at 'three'"),
        ({"arrays": {"parameters/net/three": h5py.ExternalLink("/etc/passwd", "/")}}, "link at 'three'"),
        ({"arrays": {"inputs/i/0": "text"}}, "no array of numbers"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused_by_id(tmp_path, changed, sentence):
    how = {"targets": ["k o", "i1 A", "i2 B"], **changed}
    with pytest.raises(cc.CollocodeError, match=sentence):
        cc.read_petab(hybrid(tmp_path, **how))


def test_a_damaged_array_file_is_named(tmp_path):
    path = hybrid(tmp_path, ["k o", "i1 A", "i2 B"])
    (tmp_path / "net.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(cc.FileError, match=r"net\.hdf5 is not an array file, or it is damaged"):
        cc.read_petab(path)
