import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler

from collocode import MLP, FileError, InputError, write_onnx
from collocode.relu import ReluNetwork
from collocode.results.network import TrainedNetwork

from .nets import random_network


def test_a_clipped_unit_is_flat_on_both_sides():
    network = ReluNetwork(([[1.0]], [[1.0]]), ([0.0], [0.0]), clip=(2.0,))
    assert network([[-1.0], [0.5], [3.0]]).ravel().tolist() == [0.0, 0.5, 2.0]
    assert network.clipped
    assert not network.with_clip(None).clipped


def test_affine_maps_outside_change_units_only():
    network = random_network(0, affine=True)
    x = np.random.default_rng(1).normal(size=(20, 2))
    inner = network.core()((x - network.input_shift) / network.input_scale)
    np.testing.assert_allclose(
        network(x), network.output_shift + network.output_scale * inner, rtol=1e-14
    )


@pytest.mark.parametrize("scale", [(0.5, 2.0), (-0.5, 2.0)])
@pytest.mark.parametrize("output_scale", [(3.0,), (-3.0,)])
def test_an_mlp_and_its_relu_network_agree(scale, output_scale):
    mlp = MLP((2, 5, 4, 1), "relu", (0.3, -1.0), scale, output_scale)
    theta = mlp.initial_weights(3) + 0.1
    network = ReluNetwork.from_mlp(mlp, theta)
    x = np.random.default_rng(0).normal(size=(30, 2))
    np.testing.assert_allclose(network(x), mlp(x.T, theta).T, atol=1e-13)
    back, vector = network.to_mlp()
    np.testing.assert_allclose(back(x.T, vector).T, network(x), atol=1e-13)


def test_an_output_shift_survives_the_way_to_an_mlp():
    network = random_network(4, affine=True)
    mlp, theta = network.to_mlp()
    x = np.random.default_rng(0).normal(size=(30, 2))
    np.testing.assert_allclose(mlp(x.T, theta).T, network(x), atol=1e-13)


def test_onnx_files_are_read(tmp_path):
    mlp = MLP((2, 6, 1), "relu")
    trained = TrainedNetwork(mlp, mlp.initial_weights(0))
    write_onnx(trained, tmp_path / "net.onnx")
    x = np.random.default_rng(0).normal(size=(10, 2))
    np.testing.assert_allclose(
        ReluNetwork.from_onnx(tmp_path / "net.onnx")(x), trained(x), atol=1e-12
    )


@pytest.mark.parametrize("clip", [None, 1.5, [0.5, None], [None, [1.0, np.inf, 2.0]]])
@pytest.mark.parametrize("affine", [False, True])
def test_onnx_files_are_written_and_are_the_same_function(clip, affine, tmp_path):
    reference = pytest.importorskip("onnx.reference")
    network = random_network(3, clip=clip, affine=affine)
    report = write_onnx(network, tmp_path / "net.onnx")
    assert report.error < 1e-13
    x = np.random.default_rng(0).normal(scale=3.0, size=(50, network.inputs))
    run = reference.ReferenceEvaluator(str(tmp_path / "net.onnx")).run
    np.testing.assert_allclose(run(None, {"z": x})[0], network(x), atol=1e-13)
    again = ReluNetwork.from_onnx(tmp_path / "net.onnx")
    np.testing.assert_allclose(again(x), network(x), atol=1e-13)
    assert again.clipped == network.clipped
    single = write_onnx(network, tmp_path / "single.onnx", "float32")
    assert 0.0 < single.error < 1e-5


def test_another_activation_is_refused(tmp_path):
    mlp = MLP((2, 6, 1), "tanh")
    trained = TrainedNetwork(mlp, mlp.initial_weights(0))
    write_onnx(trained, tmp_path / "net.onnx")
    with pytest.raises(InputError, match="'tanh'"):
        ReluNetwork.from_mlp(mlp, trained.weights)
    with pytest.raises(FileError, match=r"net.onnx.*'tanh'"):
        ReluNetwork.from_onnx(tmp_path / "net.onnx")


def test_a_torch_state_is_read_by_its_keys():
    rng = np.random.default_rng(0)
    state = {
        "net.0.weight": rng.normal(size=(3, 2)).astype(np.float32),
        "net.0.bias": rng.normal(size=3).astype(np.float32),
        "net.2.weight": rng.normal(size=(1, 3)).astype(np.float32),
    }
    network = ReluNetwork.from_torch_state(state, clip=(1.0,))
    assert network.sizes == (2, 3, 1)
    assert network.clipped
    assert network.biases[1] == 0.0
    with pytest.raises(InputError, match=r"net\.1\.running_mean"):
        ReluNetwork.from_torch_state({**state, "net.1.running_mean": np.zeros(3)})
    with pytest.raises(InputError, match=r"'c\.weight' has shape"):
        ReluNetwork.from_torch_state({"c.weight": np.zeros((2, 2, 3, 3))})


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_scikit_learn_models_are_read_with_their_scalers():
    rng = np.random.default_rng(0)
    x = rng.uniform(-3.0, 5.0, (60, 2))
    y = np.abs(x[:, 0]) + 7.0
    plain = MLPRegressor(hidden_layer_sizes=(6,), max_iter=20, random_state=0)
    piped = make_pipeline(StandardScaler(), MinMaxScaler((-1, 1)), plain)
    whole = TransformedTargetRegressor(piped, transformer=StandardScaler())
    for model in (plain, piped, whole):
        with pytest.raises(InputError, match=r"not fitted|cannot be read"):
            ReluNetwork.from_sklearn(model)
        model.fit(x, y)
        np.testing.assert_allclose(
            ReluNetwork.from_sklearn(model)(x).ravel(), model.predict(x), atol=1e-10
        )
    with pytest.raises(InputError, match="PolynomialFeatures"):
        ReluNetwork.from_sklearn(make_pipeline(PolynomialFeatures(1), plain).fit(x, y))
    tanh = MLPRegressor(hidden_layer_sizes=(3,), activation="tanh", max_iter=5).fit(x, y)
    with pytest.raises(InputError, match="'tanh'"):
        ReluNetwork.from_sklearn(tanh)
    with pytest.raises(InputError, match="StandardScaler is no MLPRegressor"):
        ReluNetwork.from_sklearn(StandardScaler())


def test_saved_networks_come_back_exactly(tmp_path):
    network = random_network(2, affine=True).with_clip([None, 0.7])
    network.save(tmp_path / "net")
    again = ReluNetwork.load(tmp_path / "net.npz")
    x = np.random.default_rng(0).normal(size=(10, 2))
    assert (again(x) == network(x)).all()
    assert again.clip[0] is None
    (tmp_path / "bad.npz").write_bytes(b"no zip")
    np.savez(tmp_path / "foreign.npz", a=np.zeros(2))
    for name in ("bad", "foreign", "absent"):
        with pytest.raises(FileError, match=name):
            ReluNetwork.load(tmp_path / f"{name}.npz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[[np.nan]], [[1.0]]], [[0.0], [0.0]]), r"W1\[0, 0\] is nan"),
        (([[[1.0]], [[1.0]]], [[0.0], [np.inf]]), r"b2\[0\] is inf"),
        (([[[1.0]], [[1.0, 2.0]]], [[0.0], [0.0]]), "W2 has 2 columns, but layer 1 has 1"),
        (([[[1.0]]], [[0.0, 1.0]]), "W1 has 1 row, but b1 has 2"),
        (([[1.0]], [[0.0]]), r"W1 has shape \(1,\)"),
        (([], []), "0 matrices"),
        (([[[1.0]], [[1.0]]], [[0.0], [0.0]], {"clip": (-1.0,)}), "clip levels of layer 1"),
        (([[[1.0]], [[1.0]]], [[0.0], [0.0]], {"clip": (1.0, 2.0)}), "clip has 2 entries"),
        (([[[1.0]]], [[0.0]], {"input_scale": 0.0}), "input_scale must be positive"),
        (([[[1.0]]], [[0.0]], {"input_shift": [0.0, 1.0]}), r"input_shift has shape \(2,\)"),
        (([[["a"]]], [[0.0]]), "W1 cannot be read as numbers"),
    ],
)
def test_networks_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        ReluNetwork(*arguments[:2], **dict(*arguments[2:]))


def test_inputs_of_another_length_are_refused():
    with pytest.raises(InputError, match="2 inputs"):
        random_network(0)([1.0, 2.0, 3.0])


def test_a_clipped_network_is_no_mlp():
    with pytest.raises(InputError, match="no clipped units"):
        random_network(0, clip=1.0).to_mlp()
