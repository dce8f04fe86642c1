"""An exported file -> the same with its encoder's products in 8-bit integers, scales measured on clips.

Static, weights per output channel, activations per tensor. Heads, spectrum, attention's own products and the
small network stay float: they are few, and in 8 bits they moved scores by up to 4.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from export.compact import compact
from export.to_onnx import ExportError
from serving import audio
from serving.errors import ClipError
from training.datasets import Clip

KINDS = ("Conv", "MatMul", "Gemm")
TRUNK = "/trunk/"  # in the names of the nodes of the pretrained part
CLIPS = 32
# Their sums of integers go on as floats; only convolutions have to round their output.
FLOAT_OUTPUT = {"OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"]}


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Waveforms (N,), one after another."""

    def __init__(self, clips: Sequence[np.ndarray]) -> None:
        self._rest = iter(clips)

    def get_next(self) -> dict[str, np.ndarray] | None:
        clip = next(self._rest, None)
        return None if clip is None else {"waveform": clip[None]}


def quantised(model: bytes, clips: Sequence[np.ndarray]) -> bytes:
    """The int8 form of a file, manifest included; clips (N,) of a window or more set the scales.

    Raises ExportError where the graph has no encoder or there are no clips.
    """
    graph = onnx.load_from_string(model)
    widen(graph)
    weights = {entry.name for entry in graph.graph.initializer}
    nodes = [
        node.name
        for node in graph.graph.node
        if node.op_type in KINDS and TRUNK in node.name and weights.intersection(node.input)
    ]
    if not nodes or not clips:
        found = "no clip to measure scales on" if nodes else "no encoder, the only part that gains by int8"
        raise ExportError(f"This model can't be made int8: {found}. Leave out --int8 or give --data.")
    with tempfile.TemporaryDirectory() as folder:
        plain, target = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        onnx.save(graph, plain)
        quantize_static(
            plain, target, _Reader(clips), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_quantize=nodes,
            op_types_to_quantize=list(KINDS), extra_options=FLOAT_OUTPUT,
        )  # fmt: skip
        written = onnx.load(target)
    compact(written)
    del written.metadata_props[:]
    written.metadata_props.extend(graph.metadata_props)
    content: bytes = written.SerializeToString(deterministic=True)
    return content


def floated(model: bytes) -> bytes:
    """A file in integers -> the same network computed in floats: activations are not rounded any more."""
    graph = onnx.load_from_string(model)
    stored = {entry.name: entry for entry in graph.graph.initializer}
    renamed: dict[str, str] = {}
    kept = []
    for node in graph.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            values, scale, zero = (numpy_helper.to_array(stored[name]) for name in node.input[:3])
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            shape = [-1 if i == axis else 1 for i in range(values.ndim)] if scale.size > 1 else []
            weight = (values.astype(np.float32) - zero.reshape(shape)) * scale.reshape(shape)
            graph.graph.initializer.append(numpy_helper.from_array(weight.astype(np.float32), node.output[0]))
        elif node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            renamed[node.output[0]] = renamed.get(node.input[0], node.input[0])
        else:
            node.input[:] = [renamed.get(name, name) for name in node.input]
            kept.append(node)
    del graph.graph.node[:]
    graph.graph.node.extend(kept)
    needed = {name for node in kept for name in node.input}
    used = [entry for entry in graph.graph.initializer if entry.name in needed]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(used)
    compact(graph)
    content: bytes = graph.SerializeToString()
    return content


def widen(graph: onnx.ModelProto) -> None:
    """Weights stored as float16 with a Cast -> float32, which the quantiser can read; in place."""
    stored = {entry.name: entry for entry in graph.graph.initializer}
    for node in [n for n in graph.graph.node if n.op_type == "Cast" and n.input[0] in stored]:
        values = numpy_helper.to_array(stored[node.input[0]])
        if node.attribute[0].i == TensorProto.FLOAT and values.dtype == np.float16:
            stored[node.input[0]].CopyFrom(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
            graph.graph.node.remove(node)


def calibration(clips: Sequence[Clip], window_samples: int) -> list[np.ndarray]:
    """The first window of up to CLIPS clips (window_samples,), drawn without a look at their labels."""
    windows: list[np.ndarray] = []
    for index in np.random.default_rng(0).permutation(len(clips)):
        if len(windows) == CLIPS:
            break
        with contextlib.suppress(ClipError, OSError):  # an unreadable clip is replaced by the next
            samples = audio.load(clips[index].path)
            if len(samples) >= window_samples:
                windows.append(samples[:window_samples])
    return windows
