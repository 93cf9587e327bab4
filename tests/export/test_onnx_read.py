"""ONNX graphs as other exporters write them: the same function, or a refusal by name."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import collocode as cc
from collocode.errors import FileError
from collocode.export.onnx import evaluate
from collocode.relu import ReluNetwork

onnx = pytest.importorskip("onnx")
make, kinds = onnx.helper.make_node, onnx.TensorProto


def saved(path, steps, constants, inputs=2, outputs=None, kind=kinds.DOUBLE, opset=17, shape=None):
    """Write a chain: each step is (operator, [names of other operands], attributes)."""
    nodes, last = [], "x"
    for number, step in enumerate(steps, start=1):
        if isinstance(step, str):
            operator, *names = step.split()
            attributes = {}
        else:
            (operator, *names), attributes = step[0].split(), step[1]
        result = "y" if number == len(steps) else f"t{number}"
        operands = [last if name == "_" else name for name in names]
        operands = operands if "_" in names else [last, *operands]
        nodes.append(make(operator, operands, [result], **attributes))
        last = result
    for node in nodes:
        if node.op_type == "Scaler":
            node.domain = "ai.onnx.ml"
    ends = (
        [onnx.helper.make_tensor_value_info("x", kind, shape or ["N", inputs])],
        [onnx.helper.make_tensor_value_info("y", kind, ["N", outputs])],
    )
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    tensors = [
        onnx.numpy_helper.from_array(v if v.dtype == np.int64 else v.astype(dtype), name)
        for name, v in constants.items()
    ]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "net", *ends, tensors),
        opset_imports=[
            onnx.helper.make_opsetid("", opset),
            onnx.helper.make_opsetid("ai.onnx.ml", 3),
        ],
        ir_version=8,
    )
    onnx.save(model, path)
    return model.SerializeToString()


def constants(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "A": rng.normal(size=(2, 4)), "a": rng.normal(size=4), "B": rng.normal(size=(4, 3)),
        "b": rng.normal(size=3), "S": rng.normal(size=(2, 2)), "BT": rng.normal(size=(3, 4)),
        "m": np.array([0.5, -0.7]), "f": np.array([2.0, 3.0]), "g": np.array([-1.5, 0.3, 4.0]),
        "h": np.array([0.4, -2.0, 0.0, 1.0]), "var": np.array([0.3, 2.0, 1.0, 0.1]),
        "row": np.array([[1.0, 2.0]]), "one": np.array(1.0), "six": np.array(6.0),
        "zero": np.array(0.0), "low": np.array(-0.3), "high": np.array(0.8),
        "to4": np.array([-1, 4]), "keep": np.array([0, -1]), "to2": np.array([-1, 2]),
        "wrong": np.array([-1, 3]), "half": np.array([0.5]),
    }  # fmt: skip


X = np.random.default_rng(1).uniform(-2.0, 2.0, (40, 2))
DENSE = ["Gemm A a", "Tanh", "Gemm B b"]
READ = {
    "min-max scaling": ["Mul f", "Sub m", *DENSE],
    "two shifts": ["Sub m", "Sub row", *DENSE],
    "product and quotient": ["Mul f", "Div m", *DENSE],
    "constant first": ["Sub m _", "Add f _", "Mul f _", *DENSE],
    "standardised twice": ["Sub m", "Div f", "Sub m", "Div f", *DENSE],
    "denormalised": [*DENSE, "Mul g", "Add b"],
    "two factors": [*DENSE, "Mul g", "Mul g", "Neg"],
    "shift, factor, shift": [*DENSE, "Sub b", "Div g", "Sub b"],
    "factor before an activation": ["Gemm A a", "Mul h", "Add a", "Tanh", "Gemm B b"],
    "factor after an activation": ["Gemm A a", "Tanh", "Mul h", "Sub a", "Gemm B b"],
    "factor between activations": ["Gemm A a", "Tanh", "Mul h", "Tanh", "Gemm B b"],
    "factor zero at the input": ["Mul zero", "Add m", *DENSE],
    "factor zero at the output": [*DENSE, "Mul zero", "Add b"],
    "activation first": ["Mul f", "Tanh", "Gemm A a"],
    "activation last": ["Gemm A a", "Tanh", "Gemm B b", "Tanh", "Mul g", "Add b"],
    "no activation": ["Sub m", "Gemm A a", "Gemm B b", "Mul g"],
    "two layers in a row": ["Gemm A", "Gemm B b", "Tanh"],
    "flags of Gemm": [("Gemm A a", {"alpha": 2.0, "beta": 0.5}), "Tanh", ("Gemm BT b", {"transB": 1, "beta": -1.0})],
    "Gemm with a scalar bias": ["Gemm A half", "Tanh", "Gemm B"],
    "MatMul and Add": ["MatMul A", "Add a _", "Sigmoid", "MatMul B", "Add b"],
    "what changes nothing": ["Identity", ("Cast", {"to": kinds.DOUBLE}), ("Flatten", {"axis": 1}), "Reshape keep", "Gemm A a", "Identity", "Reshape to4", "Tanh", "Dropout", "Gemm B b", "Identity"],
    "batch normalisation": ["Gemm A a", ("BatchNormalization a h a var", {"epsilon": 1e-2}), "Tanh", "Gemm B b"],
    "only sums": ["Sub m", "Mul f"],
}  # fmt: skip
READ_AS_RELU = {
    "ReLU6": ["Gemm A a", "Clip zero six", "Gemm B b", "Clip zero six", "Mul g"],
    "ReLU and Clip": ["Gemm A a", "Relu", "Clip zero one", "Relu", "Min six", "Gemm B b"],
    "Clip of any limits": ["Sub m", "Gemm A a", "Clip low high", "Gemm B b"],
    "Max and Min": ["Gemm A a", "Max h", "Gemm B b", "Min g"],
    "mixed clipped and plain": ["Gemm A a", "Relu", "Gemm B b", "Clip zero high", "Mul g"],
    "negative scales": ["Mul m", *["Gemm A a", "Relu", "Gemm B b"], "Mul g", "Add b"],
    "linear layers between": ["Gemm S m", "Gemm A a", "Relu", "Mul h", "Gemm B", "Add b", "Mul g"],
    "output factor zero": ["Gemm A a", "Relu", "Gemm B b", "Mul zero", "Add g"],
    "everything off": ["Mul f", "Relu"],
}


@pytest.mark.parametrize("name", READ)
def test_chains_are_folded_exactly(name, tmp_path):
    content = saved(tmp_path / "net.onnx", READ[name], constants())
    network = cc.read_onnx(tmp_path / "net.onnx")
    np.testing.assert_allclose(network(X), evaluate(content, X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", READ_AS_RELU)
def test_clipped_and_plain_relus_are_read(name, tmp_path):
    content = saved(tmp_path / "net.onnx", READ_AS_RELU[name], constants())
    network = ReluNetwork.from_onnx(tmp_path / "net.onnx")
    np.testing.assert_allclose(network(X), evaluate(content, X), rtol=1e-12, atol=1e-12)


REFUSED = {
    "two activations": ([*DENSE, "Sigmoid", "Mul g"], "the activations sigmoid, tanh side by side"),
    "clipped": (["Gemm A a", "Clip zero one", "Gemm B b"], "clipped units"),
    "a quotient by the network": (["Div m _", *DENSE], "a division by the network"),
    "division by zero": (["Div zero", *DENSE], "a division by zero"),
    "another operator": (["Gemm A a", "LeakyRelu", "Gemm B b"], "the operator LeakyRelu"),
    "transposed": ([("Gemm S", {"transA": 1}), "Tanh", "Gemm A"], "a transposed input"),
    "weights first": (["MatMul S _", "Tanh"], "a MatMul of a transposed input"),
    "square": (["Mul _ _", *DENSE], "Mul of 2 operands"),
    "residual": (["Gemm S m", "Tanh", "Add x _"], "Add, Gemm after 'x'"),
    "another width": ([*DENSE, "Mul f"], "2 constants for 3 entries"),
    "layers that do not fit": (["Gemm B b", "Tanh"], "a layer of shape .3, 4. for 2 entries"),
    "reshape": (["Reshape wrong", "Tanh"], r"a Reshape to \[-1, 3\]"),
    "flatten": ([("Flatten", {"axis": 0}), "Tanh"], "a Flatten of the samples"),
    "integers": ([("Cast", {"to": kinds.INT64}), ("Cast", {"to": kinds.DOUBLE}), *DENSE], "a Cast"),
    "crossing clip": (["Gemm A a", "Clip one zero", "Gemm B"], "limits cross"),
    "constant column": (["Add column", *DENSE], "'column' of shape"),
    "softmax": ([*DENSE, "Softmax"], "the operator Softmax"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_graphs_are_refused_by_name(name, tmp_path):
    steps, message = REFUSED[name]
    saved(tmp_path / "net.onnx", steps, {**constants(), "column": np.ones((2, 1))})
    with pytest.raises(FileError, match=f"net.onnx.*{message}"):
        cc.read_onnx(tmp_path / "net.onnx")


def test_more_refusals(tmp_path):
    path = tmp_path / "net.onnx"
    saved(path, DENSE, constants(), opset=6)
    with pytest.raises(FileError, match="before opset 7"):
        cc.read_onnx(path)
    saved(path, ["Tanh"], constants(), shape=["N", "M"])
    with pytest.raises(FileError, match="unknown number of inputs"):
        cc.read_onnx(path)
    saved(path, ["Tanh"], constants(), shape=["N"])
    with pytest.raises(FileError, match="an input of 1 dimension"):
        cc.read_onnx(path)
    model = onnx.load_model_from_string(saved(path, DENSE, constants()))
    for change, message in (
        (lambda g: g.node.append(make("Exp", ["A"], ["beside"])), "the operator Exp beside"),
        (lambda g: g.output.append(g.output[0]), "more than one input or output"),
        (lambda g: setattr(g.node[1], "domain", "mine"), "the operator Tanh of mine"),
        (lambda g: setattr(g.input[0].type.tensor_type, "elem_type", kinds.INT64), "neither float"),
    ):
        other = onnx.ModelProto()
        other.CopyFrom(model)
        change(other.graph)
        path.write_bytes(other.SerializeToString())
        with pytest.raises(FileError, match=message):
            cc.read_onnx(path)


def test_what_the_file_computes_is_compared(tmp_path, monkeypatch):
    """A reader that folds wrongly cannot return."""
    from collocode.export.dense_chain import ChainBuilder

    saved(tmp_path / "net.onnx", READ["min-max scaling"], constants())
    monkeypatch.setattr(ChainBuilder, "add", lambda self, values: None)
    with pytest.raises(FileError, match="computes otherwise"):
        cc.read_onnx(tmp_path / "net.onnx")


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_and_an_image(batch, tmp_path):
    """PyTorch fixes the batch unless told otherwise; images are flattened first."""
    steps = ["Mul half", ("Flatten", {"axis": 1}), *DENSE]
    content = saved(tmp_path / "net.onnx", steps, constants(), shape=[batch, 1, 2])
    network = cc.read_onnx(tmp_path / "net.onnx")
    assert network.network.sizes == (2, 4, 3)
    np.testing.assert_allclose(network(X), evaluate(content, X), rtol=1e-12, atol=1e-12)


def test_single_precision_with_constants_by_nodes(tmp_path):
    """Constants that are nodes, and a transposed one, in single precision, as PyTorch writes them."""
    content = saved(tmp_path / "net.onnx", ["Sub m", *DENSE], constants(), kind=kinds.FLOAT)
    model = onnx.load_model_from_string(content)
    tensors = {t.name: t for t in model.graph.initializer}
    flipped = onnx.numpy_helper.to_array(tensors["A"]).T.copy()
    tensors["A"].CopyFrom(onnx.numpy_helper.from_array(flipped, "AT"))
    first = [make("Constant", [], ["m"], value=tensors["m"]), make("Transpose", ["AT"], ["A"])]
    model.graph.initializer.remove(tensors["m"])
    nodes = [*first, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    content = model.SerializeToString()
    (tmp_path / "net.onnx").write_bytes(content)
    network = cc.read_onnx(tmp_path / "net.onnx")
    np.testing.assert_allclose(network(X), evaluate(content, X), rtol=1e-4, atol=1e-4)


def test_the_scaler_of_scikit_learn(tmp_path):
    scaler = ("Scaler", {"offset": [0.5, -0.25], "scale": [2.0, 0.5]})
    content = saved(tmp_path / "net.onnx", [scaler, *DENSE], constants(), kind=kinds.FLOAT)
    network = cc.read_onnx(tmp_path / "net.onnx")
    np.testing.assert_allclose(network(X), evaluate(content, X), rtol=1e-4, atol=1e-4)


# ---- random graphs --------------------------------------------------------------------------------


@st.composite
def graphs(draw, activations):
    """A chain of random operators, its constants, and the dtype."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    width, steps, values = 2, [], {}

    def constant(array):
        values[f"c{len(values)}"] = array
        return f"c{len(values) - 1}"

    def vector():
        shape = draw(st.sampled_from([(), (1,), (width,), (1, width)]))
        return constant(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.3, 2.0, shape))

    def affine():
        operator = draw(st.sampled_from(["Add", "Sub", "Mul", "Div", "Neg", "Identity"]))
        if operator in ("Neg", "Identity"):
            return operator
        order = "{} _" if operator != "Div" and draw(st.booleans()) else "_ {}"
        return f"{operator} {order.format(vector())}"

    def dense():
        nonlocal width
        before, width = width, draw(st.integers(1, 4))
        W, b = rng.normal(size=(before, width)) / before, rng.normal(size=width)
        form = draw(st.sampled_from(["Gemm", "transposed", "MatMul", "no bias"]))
        if form == "MatMul":
            return [f"MatMul {constant(W)}", f"Add {constant(b)}"]
        if form == "no bias":
            return [f"Gemm {constant(W)}"]
        flags = {"alpha": float(rng.normal()), "beta": float(rng.normal())}
        if form == "transposed":
            return [(f"Gemm {constant(W.T)} {constant(b)}", {**flags, "transB": 1})]
        return [(f"Gemm {constant(W)} {constant(b)}", flags)]

    def activation(name):
        if name == "Clip":
            low = rng.uniform(-1.0, 0.5)
            return [
                f"Clip {constant(np.array(low))} {constant(np.array(low + rng.uniform(0.1, 1.0)))}"
            ]
        return [f"{name} {vector()}"] if name in ("Max", "Min") else [name]

    for _ in range(draw(st.integers(1, 3))):
        steps += [affine() for _ in range(draw(st.integers(0, 3)))]
        steps += dense()
        steps += [affine() for _ in range(draw(st.integers(0, 3)))]
        steps += activation(draw(st.sampled_from(activations)))
    steps += [affine() for _ in range(draw(st.integers(0, 3)))]
    return steps, values


def compared(read, graph, folder):
    path = folder / "net.onnx"
    content = saved(path, *graph)
    expected = evaluate(content, X)
    size = 1.0 + np.abs(expected).max()
    np.testing.assert_allclose(read(path)(X), expected, rtol=0.0, atol=1e-10 * size)


@hypothesis_settings(max_examples=60)
@given(st.sampled_from(["Tanh", "Sigmoid", "Relu"]), st.data())
def test_random_chains_are_read_exactly(tmp_path_factory, name, data):
    graph = data.draw(graphs([name]))
    compared(cc.read_onnx, graph, tmp_path_factory.mktemp("graph"))


@hypothesis_settings(max_examples=60)
@given(graphs(["Relu", "Clip", "Max", "Min"]))
def test_random_relu_chains_are_read_exactly(tmp_path_factory, graph):
    compared(ReluNetwork.from_onnx, graph, tmp_path_factory.mktemp("graph"))


# ---- files of other exporters, see exported/README.md -------------------------------------------

EXPORTED = Path(__file__).parent / "exported"


@pytest.mark.parametrize(
    ("name", "activation", "sizes"),
    [
        ("pytorch_gelu", "gelu", (3, 5, 2)),
        ("pytorch_dynamo_softplus", "softplus", (3, 5, 2)),
        ("keras_gelu", "gelu", (3, 5, 2)),
        ("keras_rescaling", "tanh", (3, 5, 2)),
        ("sklearn_tanh", "tanh", (3, 6, 5, 1)),
    ],
)
def test_files_of_other_exporters_are_the_functions_that_onnxruntime_computes(
    name, activation, sizes
):
    path = EXPORTED / f"{name}.onnx"
    network = cc.read_onnx(path)
    assert (network.network.activation, network.network.sizes) == (activation, sizes)
    x = np.random.default_rng(2).normal(size=(30, 3)) * 3.0
    expected = np.vstack([evaluate(path.read_bytes(), row[None]) for row in x.astype(np.float32)])
    np.testing.assert_allclose(network(x), expected, atol=1e-4)


def test_a_clipped_network_of_pytorch():
    path = EXPORTED / "pytorch_relu6.onnx"
    with pytest.raises(FileError, match=r"clipped units, which relu.ReluNetwork.from_onnx reads"):
        cc.read_onnx(path)
    x = np.random.default_rng(2).normal(size=(30, 3)) * 30.0
    expected = evaluate(path.read_bytes(), x.astype(np.float32))
    np.testing.assert_allclose(ReluNetwork.from_onnx(path)(x), expected, rtol=1e-5, atol=1e-5)
