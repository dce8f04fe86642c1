"""Static QDQ int8 of the network, calibrated on clips: time, change of scores, EER of labelled clips.

What computes the spectrum, everything before a Log, stays float: its range is too wide for 8 bits.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from bench import peak
from bench.clips import speech_like
from bench.plan import Bench
from bench.stats import ratios, spread
from serving import audio
from serving.detector import Detector
from serving.verdict import pool
from training.datasets import read
from training.metrics import eer

KINDS = ("Conv", "MatMul", "Gemm")
CALIBRATION, JUDGED = 32, 300  # clips
BOOTSTRAPS = 500
CLIP_SAMPLES = 160_000


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Waveforms of one window each."""

    def __init__(self, clips: list[np.ndarray]) -> None:
        self._rest = iter(clips)

    def get_next(self) -> dict[str, np.ndarray] | None:
        clip = next(self._rest, None)
        return None if clip is None else {"waveform": clip[None]}


def run(bench: Bench) -> dict[str, Any]:
    detector = Detector.open(bench.model)
    window = detector.manifest.window_samples
    clips = [clip[:window] for clip in _clips(bench.calibration, window)][:CALIBRATION]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantise(bench.model, path, clips)
        small = Detector.open(path)
        result: dict[str, Any] = {
            "calibrated_on": str(bench.calibration.name) if bench.calibration else "made clips",
            "size_mb": {"float": bench.model.stat().st_size / 1e6, "int8": path.stat().st_size / 1e6},
            **_times(bench, detector, small),
            "goals": [],
        }
        if bench.judged:
            result["accuracy"] = _accuracy(detector, small, bench.judged)
    return result


def quantise(model: Path, target: Path, clips: list[np.ndarray]) -> None:
    """Write the int8 form of a model file, manifest included."""
    graph = onnx.load(model)
    widen(graph)
    kept = before_log(graph)
    plain = target.with_name("plain.onnx")
    onnx.save(graph, plain)
    quantize_static(
        plain, target, Reader(clips), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=list(KINDS),
        nodes_to_exclude=kept,
    )  # fmt: skip
    written = onnx.load(target)
    del written.metadata_props[:]
    written.metadata_props.extend(graph.metadata_props)
    onnx.save(written, target)


def widen(graph: onnx.ModelProto) -> None:
    """Weights stored as float16 with a Cast -> float32, which the quantiser can read; in place."""
    stored = {entry.name: entry for entry in graph.graph.initializer}
    for node in [n for n in graph.graph.node if n.op_type == "Cast" and n.input[0] in stored]:
        values = numpy_helper.to_array(stored[node.input[0]])
        if node.attribute[0].i == TensorProto.FLOAT and values.dtype == np.float16:
            stored[node.input[0]].CopyFrom(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
            graph.graph.node.remove(node)


def before_log(graph: onnx.ModelProto) -> list[str]:
    """Names of the nodes that lead to a Log: the spectrum's."""
    makers = {output: node for node in graph.graph.node for output in node.output}
    waiting = [name for node in graph.graph.node if node.op_type == "Log" for name in node.input]
    found: set[str] = set()
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting += node.input
    return sorted(found)


def _clips(protocol: Path | None, least: int) -> Iterator[np.ndarray]:
    """Clips of at least a window: of the train split of a protocol, or made ones."""
    if protocol is None:
        yield from (
            speech_like(least / 16_000 + 1, seed)[: least + 800 * seed] for seed in range(CALIBRATION)
        )
        return
    listed = read(protocol, "train")
    for index in np.random.default_rng(0).permutation(len(listed)):
        samples = audio.load(listed[index].path)
        if len(samples) >= least:
            yield samples


def _times(bench: Bench, detector: Detector, small: Detector) -> dict[str, Any]:
    waveform = speech_like(CLIP_SAMPLES / 16_000)[None]
    times: dict[str, list[float]] = {"float": [], "int8": []}
    for _ in range(bench.plan.repeats):
        for name, model in (("float", detector), ("int8", small)):
            times[name].append(
                1000 * peak.fastest(lambda m=model: m._session.run(None, {"waveform": waveform}), 3)
            )
    llr = [model._session.run(["window_llr"], {"waveform": waveform})[0] for model in (detector, small)]
    return {
        "ms": {name: spread(values).as_dict() for name, values in times.items()},
        "float_over_int8": ratios(times["float"], times["int8"]).as_dict(),
        "largest_llr_change": round(float(np.abs(llr[0] - llr[1]).max()), 4),
    }


def _accuracy(detector: Detector, small: Detector, protocol: Path) -> dict[str, Any]:
    """EER of both on the same test clips, and the 95 % interval of the difference by bootstrap."""
    listed = read(protocol, "test")
    order = np.random.default_rng(0).permutation(len(listed))[:JUDGED]
    spoof = np.array([listed[i].label == "spoof" for i in order])
    llrs = []
    for model in (detector, small):
        blocks = ([audio.load(listed[i].path)] for i in order)
        llrs.append(np.array([pool(model.score(block).window_llr, model.manifest) for block in blocks]))
    rng = np.random.default_rng(1)
    drawn = [rng.integers(0, len(order), len(order)) for _ in range(BOOTSTRAPS)]
    lost = [eer(llrs[1][some], spoof[some]) - eer(llrs[0][some], spoof[some]) for some in drawn]
    return {
        "clips": len(order),
        "eer_float": round(eer(llrs[0], spoof), 4),
        "eer_int8": round(eer(llrs[1], spoof), 4),
        "eer_lost_95": [round(float(value), 4) for value in np.percentile(lost, [2.5, 97.5])],
    }
