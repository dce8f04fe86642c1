"""What one core of this machine can do: products, convolutions (by onnxruntime), bytes copied a second."""

import time

import numpy as np
import onnx
from onnx import helper

from export.graph import open_session

GEMMS = ((384, 512, 512), (576, 512, 2048), (1024, 1024, 1024))  # rows, inner, columns
CONVOLUTIONS = ((32, 64, 64, 200), (64, 64, 32, 200), (128, 128, 32, 96))  # channels in, out, rows, columns
COPIED = 2**25  # floats; larger than the last cache
TRIES = 12


def gemm_gflops() -> float:
    """10^9 operations a second of the best of some matrix products of the sizes that networks have."""
    return max(_gemm(*shape) for shape in GEMMS)


def convolution_gflops() -> float:
    """The same of 3x3 convolutions."""
    return max(_convolution(*shape) for shape in CONVOLUTIONS)


def int8_gops() -> float:
    """The same of products of 8-bit integers, with 32-bit sums."""
    return max(_int8(*shape) for shape in GEMMS)


def copied_gb_per_s() -> float:
    """Bytes read and written a second by a large copy."""
    source, target = np.ones(COPIED, np.float32), np.empty(COPIED, np.float32)
    seconds = fastest(lambda: np.copyto(target, source), 5)
    return 2 * source.nbytes / seconds / 1e9


def fastest(work: object, tries: int = TRIES) -> float:
    """Seconds of the fastest of some calls: nothing but the work itself makes it shorter."""
    assert callable(work)
    best = float("inf")
    for _ in range(tries):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return best


def _gemm(rows: int, inner: int, columns: int) -> float:
    weight = np.random.default_rng(0).normal(size=(inner, columns)).astype(np.float32)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    x = np.ones((rows, inner), np.float32)
    return 2 * rows * inner * columns / _seconds(node, weight, x) / 1e9


def _int8(rows: int, inner: int, columns: int) -> float:
    weight = np.random.default_rng(0).integers(-127, 128, (inner, columns)).astype(np.int8)
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    x = np.ones((rows, inner), np.uint8)
    return 2 * rows * inner * columns / _seconds(node, weight, x) / 1e9


def _convolution(width_in: int, width: int, height: int, length: int) -> float:
    weight = np.random.default_rng(0).normal(size=(width, width_in, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    x = np.ones((1, width_in, height, length), np.float32)
    return 2 * 9 * width_in * width * height * length / _seconds(node, weight, x) / 1e9


def _seconds(node: onnx.NodeProto, weight: np.ndarray, x: np.ndarray) -> float:
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [onnx.ValueInfoProto(name="y")],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = open_session(model.SerializeToString())
    session.run(None, {"x": x})
    return fastest(lambda: session.run(None, {"x": x}))
