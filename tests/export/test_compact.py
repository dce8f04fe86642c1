"""Weights that are exact in float16 are halved in the file, others are left alone, and no output changes."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from export.compact import LEAST_VALUES, compact

WIDTH = 128


def product(weights: np.ndarray) -> onnx.ModelProto:
    """x (B, WIDTH) -> x @ weights"""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", weights.shape[1]])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


def test_exact_weights_take_half_the_room_and_give_the_same() -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((WIDTH, 200)).astype(np.float16).astype(np.float32)
    x = rng.standard_normal((3, WIDTH)).astype(np.float32)
    model = product(weights)
    before, size = run(model, x), model.ByteSize()
    compact(model)
    onnx.checker.check_model(model)
    assert model.ByteSize() < 0.55 * size
    assert np.array_equal(run(model, x), before)


def test_weights_that_float16_cannot_hold_stay() -> None:
    weights = np.full((WIDTH, 200), 0.1, np.float32)
    model = product(weights)
    compact(model)
    assert numpy_helper.to_array(model.graph.initializer[0]).dtype == np.float32


def test_small_weights_stay() -> None:
    weights = np.ones((WIDTH, LEAST_VALUES // WIDTH - 1), np.float32)
    model = product(weights)
    compact(model)
    assert len(model.graph.node) == 1


def test_equal_constants_are_one_and_what_passes_between_nodes_has_short_names() -> None:
    """A name of the new kind that has to stay, as that of a Cast of a weight, is not given again."""
    half = np.full(WIDTH, 0.5, np.float32)
    constants = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
        for name, value in (("one/half", half), ("another/half", half), ("third", 3 * half))
    ]
    nodes = [
        *constants,
        helper.make_node("Cast", ["weight"], ["t1"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "one/half"], ["a long name of a product"]),
        helper.make_node("Mul", ["a long name of a product", "another/half"], ["a long name of another"]),
        helper.make_node("Add", ["a long name of another", "third"], ["a long name of a sum"]),
        helper.make_node("Add", ["a long name of a sum", "t1"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", WIDTH]) for name in "xy"]
    weight = numpy_helper.from_array(np.arange(WIDTH, dtype=np.float16), "weight")
    graph = helper.make_graph(nodes, "sums", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    x = np.random.default_rng(1).standard_normal((2, WIDTH)).astype(np.float32)
    before = run(model, x)
    compact(model)
    onnx.checker.check_model(model)
    assert np.array_equal(run(model, x), before)
    assert sum(node.op_type == "Constant" for node in model.graph.node) == 2
    made = [name for node in model.graph.node for name in node.output]
    assert len(set(made)) == len(made) == 7
    assert {"t1", "y"} < set(made) and max(map(len, made)) == 2
