"""Sums of 8-bit products are exact on any processor, whatever the operator that makes them."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from serving.session import ENDING, EXACT, SHORT_SUMS, options, precision

ROWS, INNER, COLUMNS = 5, 64, 32


def loudest() -> tuple[np.ndarray, np.ndarray]:
    """Values (ROWS, INNER) and weights (INNER, COLUMNS) near the ends of their ranges: two products of them
    do not fit into 16 bits.
    """
    random = np.random.default_rng(0)
    weights = random.integers(100, 128, (INNER, COLUMNS)) * random.choice([-1, 1], COLUMNS)
    return random.integers(200, 256, (ROWS, INNER), np.uint8), weights.astype(np.int8)


def computed(node: onnx.NodeProto, values: np.ndarray, **stored: np.ndarray) -> np.ndarray:
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("values", onnx.TensorProto.UINT8, values.shape)],
        [onnx.ValueInfoProto(name="sums")],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    session = onnxruntime.InferenceSession(model, options(model), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {"values": values})[0]
    return found


def test_sums_of_integers_are_exact() -> None:
    values, weights = loudest()
    expected = values.astype(np.int64) @ weights.astype(np.int64)
    assert abs(expected).max() > INNER / 2 * 2**15  # a pair that is cut off would show
    node = helper.make_node("MatMulInteger", ["values", "weights"], ["sums"])
    np.testing.assert_array_equal(computed(node, values, weights=weights), expected)


@pytest.mark.parametrize("zero", [0, 128])
def test_a_product_with_its_bias_is_exact(zero: int) -> None:
    values, weights = loudest()
    bias = np.linspace(-1, 1, COLUMNS, dtype=np.float32)
    expected = (values.astype(np.int64) - zero) @ weights.astype(np.int64) / 256 + bias
    ends = ["values", "weights", "scale", "scales", "zero", "zeros", "bias"]
    node = helper.make_node("MatMulIntegerToFloat", ends, ["sums"], domain="com.microsoft")
    found = computed(
        node, values, weights=weights, scale=np.float32(1 / 16), scales=np.full(COLUMNS, 1 / 16, np.float32),
        zero=np.uint8(zero), zeros=np.zeros(COLUMNS, np.int8), bias=bias,
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_precision_is_asked_for_where_the_processor_would_not_need_it() -> None:
    """The tests above hold by themselves on processors with VNNI."""
    assert options(b"of any file").get_session_config_entry(EXACT) == "1"


def test_a_file_that_says_that_its_sums_are_short_is_spared_wide_ones() -> None:
    """What ends the file is that entry, as onnx itself reads and writes it."""
    model = onnx.ModelProto(ir_version=9)
    helper.set_model_props(model, {"manifest": "{}", **dict([SHORT_SUMS])})
    content = model.SerializeToString(deterministic=True)
    assert precision(content) == {} and precision(content[:-1]) == {EXACT: "1"}
    del model.metadata_props[1]
    assert content == model.SerializeToString() + ENDING
