"""Trained networks as ONNX files, NumPy weights and JAX functions, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import collocode as cc
from collocode.errors import FileError, InputError
from collocode.export.weights import load_weights, save_weights
from collocode.model.activations import ACTIVATIONS


def networks(activation, normalised, hidden=(5, 4), seed=0):
    rng = np.random.default_rng(seed)
    extra = {}
    if normalised:
        extra = {
            "shift": tuple(rng.normal(size=2)),
            "scale": tuple(rng.uniform(0.5, 2.0, 2)),
            "output_scale": tuple(rng.uniform(0.5, 2.0, 3)),
        }
    network = cc.MLP((2, *hidden, 3), activation, **extra)
    return cc.TrainedNetwork(network, rng.normal(size=network.n_weights))


Z = np.random.default_rng(1).normal(size=(20, 2))


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_onnx_round_trip(activation, normalised, tmp_path):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from collocode.export.onnx import OPSET, write_onnx
    from collocode.export.onnx_read import read_onnx

    network = networks(activation, normalised)
    path = tmp_path / "n.onnx"
    report = write_onnx(network, path)
    assert (report.opset, report.dtype) == (OPSET, "float64")
    assert report.error < 1e-12
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (y,) = session.run(["y"], {"z": Z})
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, network(Z), rtol=1e-12, atol=1e-12)
    model = onnx.load(path)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    again = read_onnx(path)
    assert again.network.activation == activation
    np.testing.assert_allclose(again(Z), network(Z), rtol=1e-14)
    single = write_onnx(network, tmp_path / "single.onnx", "float32")
    assert 1e-9 < single.error < 1e-4
    np.testing.assert_allclose(read_onnx(single.path)(Z), network(Z), rtol=1e-4, atol=1e-5)
    large = np.array([[100.0, -50.0], [-200.0, 30.0]])  # no overflow in a softplus
    (y,) = session.run(["y"], {"z": large})
    np.testing.assert_allclose(y, network(large), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize(
    ("operator", "attributes", "activation"),
    [
        ("Elu", {}, "elu"),
        ("Elu", {"alpha": 1.0}, "elu"),
        ("Gelu", {"approximate": "tanh"}, "gelu"),
        ("Softplus", {}, "softplus"),
        ("Elu", {"alpha": 0.5}, None),
        ("Gelu", {}, None),  # the one with erf
    ],
)
def test_onnx_operators_of_others(operator, attributes, activation, tmp_path):
    onnx = pytest.importorskip("onnx")
    from collocode.export.onnx_read import read_onnx

    rng = np.random.default_rng(0)
    arrays = {"A": rng.normal(size=(2, 3)), "B": rng.normal(size=(3, 1))}
    nodes = [
        onnx.helper.make_node("MatMul", ["z", "A"], ["1"]),
        onnx.helper.make_node(operator, ["1"], ["2"], **attributes),
        onnx.helper.make_node("MatMul", ["2", "B"], ["y"]),
    ]
    info, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.DOUBLE
    constants = [onnx.numpy_helper.from_array(v, k) for k, v in arrays.items()]
    ends = [info("z", kind, [None, 2])], [info("y", kind, [None, 1])]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", *ends, constants))
    onnx.save(model, tmp_path / "o.onnx")
    if activation is None:
        with pytest.raises(FileError, match=f"the operator {operator}"):
            read_onnx(tmp_path / "o.onnx")
        return
    network = read_onnx(tmp_path / "o.onnx")
    assert network.network.activation == activation
    expected = evaluate(model.SerializeToString(), Z)  # by ONNX's own definition of the operator
    np.testing.assert_allclose(network(Z), expected, rtol=1e-6, atol=1e-6)


def evaluate(model, z):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"z": z})[0]


def test_onnx_files_of_others(tmp_path):
    """MatMul and Add, Gemm without transposition, Div, as other exporters write them."""
    onnx = pytest.importorskip("onnx")
    from onnx import numpy_helper

    from collocode.export.onnx_read import read_onnx

    rng = np.random.default_rng(0)
    arrays = {
        "mean": rng.normal(size=2), "std": np.array([2.0, 3.0]), "A": rng.normal(size=(2, 4)),
        "a": rng.normal(size=4), "B": rng.normal(size=(4, 1)), "c": rng.normal(size=1),
    }  # fmt: skip
    make = onnx.helper.make_node
    nodes = [
        make("Sub", ["x", "mean"], ["1"]),
        make("Div", ["1", "std"], ["2"]),
        make("MatMul", ["2", "A"], ["3"]),
        make("Add", ["a", "3"], ["4"]),
        make("Softplus", ["4"], ["5"]),
        make("Gemm", ["5", "B", "c"], ["out"], alpha=2.0, beta=0.5),
    ]
    kind = onnx.TensorProto.FLOAT
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [info("x", kind, [None, 2])],
        [info("out", kind, [None, 1])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in arrays.items()],
    )
    onnx.save(onnx.helper.make_model(graph), tmp_path / "o.onnx")
    network = read_onnx(tmp_path / "o.onnx")
    hidden = np.logaddexp(0.0, (Z - arrays["mean"]) / arrays["std"] @ arrays["A"] + arrays["a"])
    expected = 2.0 * hidden @ arrays["B"] + 0.5 * arrays["c"]
    np.testing.assert_allclose(network(Z), expected, rtol=1e-5, atol=1e-5)


def test_onnx_refusals(tmp_path):
    pytest.importorskip("onnx")
    from collocode.export.onnx import write_onnx

    with pytest.raises(InputError, match="unknown dtype 'float16'; did you mean 'float64'"):
        write_onnx(networks("tanh", False), tmp_path / "n.onnx", "float16")
    with pytest.raises(FileError, match="cannot write"):
        write_onnx(networks("tanh", False), tmp_path / "none" / "n.onnx")
    assert list(tmp_path.iterdir()) == []


@given(
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    hidden=st.lists(st.integers(1, 6), max_size=3),
    normalised=st.booleans(),
    seed=st.integers(0, 99),
)
def test_weights_round_trip(tmp_path_factory, activation, hidden, normalised, seed):
    network = networks(activation, normalised, hidden, seed)
    path = tmp_path_factory.mktemp("weights") / "w.npz"
    save_weights(network, path)
    again = load_weights(path)
    assert again.network == network.network
    assert (again.weights == network.weights).all()
    with np.load(path) as stored:
        W, b = network.network.matrices(network.weights)[0]
        assert (stored["W1"] == W).all()
        assert (stored["b1"] == b).all()
    assert [p.name for p in path.parent.iterdir()] == ["w.npz"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_jax_functions(activation):
    jax = pytest.importorskip("jax")
    from collocode.export.functions import jax_network, jax_rhs

    jax.config.update("jax_enable_x64", True)
    network = networks(activation, True)
    function = jax.jit(jax_network(network))
    np.testing.assert_allclose(function(Z), network(Z), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(function(Z[0]), network(Z[0]), rtol=1e-12, atol=1e-12)
    if activation == "tanh":
        from tests.problems import van_der_pol_neural

        model = cc.Solution.of(*_unsolved(van_der_pol_neural())).model
        rhs = jax_rhs(model)
        np.testing.assert_allclose(rhs(0.0, [0.3, 0.4]), model.rhs(0.0, [0.3, 0.4]), rtol=1e-12)
        slope = jax.jacfwd(lambda x: rhs(0.0, x))(np.array([0.3, 0.4]))
        step = 1e-6
        plus, minus = (model.rhs(0.0, [0.3 + s, 0.4]) for s in (step, -step))
        np.testing.assert_allclose(slope[:, 0], (plus - minus) / (2 * step), rtol=1e-6, atol=1e-8)


def _unsolved(problem):
    nlp = cc.start_from(cc.discretize(problem))
    return nlp, cc.solve(nlp, options={"max_iter": 0}).result
