"""An exported file -> the same with its encoder's products in 8-bit integers, scales measured on clips.

Static, weights per output channel, activations per tensor. Spectrum, attention's own products and the small
network stay float: in 8 bits the latter moved scores by up to 4, and took longer. A product and its bias
become one operator of onnxruntime's own: of the standard ones it makes two, and what lies between them passes
through memory once more.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from export.compact import compact
from export.graph import JOINED, OWN
from export.smoothing import smooth
from export.sums import products, shorten
from export.to_onnx import ExportError
from serving import audio
from serving.errors import ClipError
from serving.session import SHORT_SUMS
from training.datasets import Clip

KINDS = ("Conv", "MatMul", "Gemm")
# In the names of the nodes of the pretrained part, and of the first products of its heads.
ENCODER = ("/trunk/", "/head/window/window.1/", "/head/frame/frame.1/")
CLIPS = 32
# Their sums of integers go on as floats; a convolution would have to round them.
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
        if node.op_type in KINDS
        and any(part in node.name for part in ENCODER)
        and weights.intersection(node.input)
    ]
    if not nodes or not clips:
        found = "no clip to measure scales on" if nodes else "no encoder, the only part that gains by int8"
        raise ExportError(f"This model can't be made int8: {found}. Leave out --int8 or give --data.")
    smooth(graph, nodes, clips)
    with tempfile.TemporaryDirectory() as folder:
        plain, target = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        onnx.save(graph, plain)
        quantize_static(
            plain, target, _Reader(clips), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_quantize=nodes,
            op_types_to_quantize=list(KINDS), extra_options=FLOAT_OUTPUT,
        )  # fmt: skip
        written = onnx.load(target)
    floats = {f"{e.name}_quantized": numpy_helper.to_array(e) for e in graph.graph.initializer}
    shorten(written, clips, floats)
    return _finished(written, graph.metadata_props)


def shortened(model: bytes, clips: Sequence[np.ndarray]) -> bytes:
    """A file in integers, manifest included -> the same with its weights rounded once more, for short sums
    (`export/sums.py`), by clips (N,) of a window or more.

    Raises ExportError where the file has no weights in integers or there are no clips.
    """
    graph = onnx.load_from_string(model)
    part(graph)
    if not clips or not any(products(graph)):
        found = "no weights in integers" if clips else "no clip to round them by"
        raise ExportError(f"Sums of this file can't be shortened: {found}. Export with --int8 and --data.")
    shorten(graph, clips)
    return _finished(graph, list(graph.metadata_props))


def _finished(graph: onnx.ModelProto, facts: Iterable[onnx.StringStringEntryProto]) -> bytes:
    """The file, of a graph whose integers are standard operators and whose sums are short."""
    _join(graph)
    compact(graph)
    known = {entry.key: entry.value for entry in facts}
    helper.set_model_props(graph, {**known, **dict([SHORT_SUMS])})
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def _join(graph: onnx.ModelProto) -> None:
    """Products of integers with the biases that follow them as one node each: values, scales and zeros of
    both sides in turn, then the bias. In place.
    """
    nodes = graph.graph.node
    makers = {name: node for node in nodes for name in node.output}
    stored = {entry.name for entry in graph.graph.initializer}
    biased = {
        node.input[1 - at]: (node.input[at], node.output)
        for node in nodes
        for at in (0, 1)
        if node.op_type == "Add" and node.input[at] in stored
    }
    joined: dict[str, onnx.NodeProto] = {}  # by the output of the product that it replaces
    for node in nodes:
        fed = [makers[name] for name in node.input if name in makers]
        integers = [one.op_type for one in fed] == 2 * ["DequantizeLinear"]
        if node.op_type == "MatMul" and integers and node.output[0] in biased:
            bias, output = biased[node.output[0]]
            ends = [end for both in zip(*(one.input for one in fed), strict=True) for end in both]
            joined[node.output[0]] = helper.make_node(JOINED, [*ends, bias], output, node.name, domain=OWN)
    added = {name for node in joined.values() for name in node.output}
    kept = [joined.get(node.output[0], node) for node in nodes if node.output[0] not in added]
    needed = {name for node in kept for name in node.input} | {end.name for end in graph.graph.output}
    del nodes[:]
    nodes.extend(node for node in kept if needed.intersection(node.output))
    if joined and all(entry.domain != OWN for entry in graph.opset_import):
        graph.opset_import.append(helper.make_opsetid(OWN, 1))


def part(graph: onnx.ModelProto) -> None:
    """What `_join` made one as standard operators again, in place."""
    parted = []
    for node in graph.graph.node:
        if node.op_type != JOINED:
            parted.append(node)
            continue
        left, right, product = (f"{node.output[0]}_{end}" for end in ("left", "right", "product"))
        parted += [
            helper.make_node("DequantizeLinear", node.input[0:6:2], [left]),
            helper.make_node("DequantizeLinear", node.input[1:6:2], [right], axis=1),
            helper.make_node("MatMul", [left, right], [product], node.name),
            helper.make_node(
                "Add", [product, node.input[6]], node.output, node.name.replace("MatMul", "Add")
            ),
        ]
    del graph.graph.node[:]
    graph.graph.node.extend(parted)


def floated(model: bytes) -> bytes:
    """A file in integers -> the same network computed in floats: activations are not rounded any more."""
    graph = onnx.load_from_string(model)
    part(graph)
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
