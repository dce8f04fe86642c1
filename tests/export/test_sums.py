"""Weights in integers: near what they were, no two neighbours too far, and the same sums on any processor."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import helper, numpy_helper

from export.sums import LARGEST, PAIR, are_short, products, shorten
from serving.session import EXACT

IN, OUT, TAPS = 6, 4, 3
KINDS = pytest.mark.parametrize("kind", ["Conv", "Gemm", "MatMul"])


def loud(seed: int = 0) -> np.ndarray:
    """(K, N) whose neighbours are large together in places, as those of a spectrum's bands are."""
    weights = np.random.default_rng(seed).normal(0, 1, (TAPS * IN, OUT)).astype(np.float32)
    weights[4:6, :2] = 3.0
    return weights


def laid_out(kind: str, weights: np.ndarray) -> np.ndarray:
    """(K, N) as a node of this kind stores them."""
    if kind == "Conv":
        return weights.reshape(TAPS, IN, OUT).transpose(2, 1, 0)
    return weights.T if kind == "Gemm" else weights


def heard(kind: str, width: int = TAPS * IN) -> list[np.ndarray]:
    """What comes in, neighbours much alike."""
    shape = {"Conv": (IN, 9), "Gemm": (width,), "MatMul": (5, width)}[kind]
    random = np.random.default_rng(2)
    return [(random.integers(0, 200) + random.integers(0, 50, shape)).astype(np.uint8) for _ in range(40)]


def graph_of(kind: str, weights: np.ndarray) -> onnx.ModelProto:
    """One product of integers, its weights (K, N) rounded as onnxruntime's quantiser does: a scale for each
    output by its largest.
    """
    stored, axis = laid_out(kind, weights), {"Conv": 0, "Gemm": 0, "MatMul": 1}[kind]
    scales = np.abs(weights).max(axis=0).clip(1e-6) / LARGEST
    shape = [-1 if at == axis else 1 for at in range(stored.ndim)]
    nodes = [
        helper.make_node("DequantizeLinear", ["waveform", "step", "zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["weights", "scales", "zeros"], ["w"], axis=axis),
        helper.make_node("DequantizeLinear", ["biases", "bias_scales", "bias_zeros"], ["b"], axis=0),
    ]
    if kind == "Conv":
        facts = {"kernel_shape": [TAPS], "pads": [1, 1], "strides": [2]}
        nodes.append(helper.make_node(kind, ["x", "w", "b"], ["y"], **facts))
    elif kind == "Gemm":
        nodes.append(helper.make_node(kind, ["x", "w", "b"], ["y"], transB=1))
    else:
        nodes.append(helper.make_node(kind, ["x", "w"], ["y"]))
    constants = {
        "step": np.float32(0.5), "zero": np.uint8(0),
        "weights": np.rint(stored / scales.reshape(shape)).astype(np.int8),
        "scales": scales.astype(np.float32), "zeros": np.zeros(OUT, np.int8),
        "biases": np.rint(100 / scales.clip(1e-3)).astype(np.int32),
        "bias_scales": (scales * 0.5).astype(np.float32), "bias_zeros": np.zeros(OUT, np.int32),
    }  # fmt: skip
    shape_in = [1, *heard(kind, len(weights))[0].shape]
    graph = helper.make_graph(
        nodes, "product", [helper.make_tensor_value_info("waveform", onnx.TensorProto.UINT8, shape_in)],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def held(graph: onnx.ModelProto) -> tuple[np.ndarray, np.ndarray]:
    """Integers (K, N) and scales (N,) of its product."""
    stored = {entry.name: numpy_helper.to_array(entry) for entry in graph.graph.initializer}
    (product,) = products(graph)
    return product.rows(stored[product.values]).astype(int), stored[product.scales]


@KINDS
def test_no_two_neighbours_come_too_far(kind: str) -> None:
    graph = graph_of(kind, loud())
    assert not are_short(graph)
    shorten(graph, heard(kind))
    assert are_short(graph)
    integers, _ = held(graph)
    assert np.abs(integers.reshape(-1, 2, OUT).sum(axis=1)).max() <= PAIR
    assert np.abs(integers).max() <= LARGEST and 255 * PAIR < 2**15


@KINDS
def test_sums_are_the_same_whether_or_not_wide_ones_are_asked_for(kind: str) -> None:
    """By itself where the processor has VNNI; elsewhere the weights before this one are cut off."""
    graph = graph_of(kind, loud())
    shorten(graph, heard(kind))
    found = []
    for wide in ("0", "1"):
        chosen = onnxruntime.SessionOptions()
        chosen.add_session_config_entry(EXACT, wide)
        session = onnxruntime.InferenceSession(graph.SerializeToString(), chosen)
        loudest = np.maximum(heard(kind)[0], 250)[None]
        found.append(session.run(None, {"waveform": loudest})[0])
    np.testing.assert_array_equal(*found)


@given(arrays.arrays(np.float32, (7, OUT), elements=st.floats(-4, 4, width=32)))
def test_any_weights_and_an_odd_number_of_them(weights: np.ndarray) -> None:
    graph = graph_of("MatMul", weights)
    shorten(graph, heard("MatMul", 7), {"weights": weights})
    integers, scales = held(graph)
    assert are_short(graph) and np.isfinite(scales).all() and (scales > 0).all()
    assert np.abs(integers * scales - weights).max() <= np.abs(weights).max() / 2 + 1e-5


@KINDS
def test_less_is_lost_than_by_rounding_to_half_the_range(kind: str) -> None:
    """Which would keep all sums short as well."""
    weights = loud()
    graph = graph_of(kind, weights)
    shorten(graph, heard(kind), {"weights": laid_out(kind, weights)})
    integers, scales = held(graph)
    coarse = np.abs(weights).max(axis=0) / (PAIR / 2)
    (product,) = products(graph)
    met = np.concatenate([product.met(one[None].astype(float)) for one in heard(kind)])
    lost = met @ (integers * scales - weights)
    assert (lost**2).mean() < 0.3 * ((met @ (np.rint(weights / coarse) * coarse - weights)) ** 2).mean()


def test_of_what_was_rounded_for_short_sums_nothing_changes() -> None:
    weights = loud()
    weights[1::2] *= 0.001
    graph = graph_of("Gemm", weights)
    before = held(graph)
    shorten(graph, heard("Gemm"))
    for one, other in zip(before, held(graph), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("kind", ["Conv", "Gemm"])
def test_a_bias_in_integers_is_as_large_as_before(kind: str) -> None:
    graph = graph_of(kind, loud())
    shorten(graph, heard(kind))
    stored = {entry.name: numpy_helper.to_array(entry) for entry in graph.graph.initializer}
    _, scales = held(graph)
    np.testing.assert_allclose(stored["bias_scales"], scales * 0.5, rtol=1e-6)
    np.testing.assert_allclose(stored["biases"] * stored["bias_scales"], 50.0, rtol=1e-3)


def test_silence_tells_nothing_and_does_no_harm() -> None:
    graph = graph_of("MatMul", loud())
    shorten(graph, [np.zeros_like(heard("MatMul")[0])])
    assert are_short(graph)
