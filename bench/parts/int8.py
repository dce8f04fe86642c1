"""What 8-bit integers give the shipped graph: time, size, change of scores, EER of labelled clips.

A shipped graph in integers is compared with itself computed in floats, any other with its int8 form.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench import peak
from bench.clips import speech_like
from bench.plan import Bench
from bench.stats import ratios, spread
from export.graph import is_quantised
from export.int8 import CLIPS, calibration, floated, quantised
from serving import audio
from serving.detector import Detector
from serving.verdict import pool
from training.datasets import read
from training.metrics import eer

JUDGED = 300  # clips
BOOTSTRAPS = 500
CLIP_SAMPLES = 160_000


def run(bench: Bench) -> dict[str, Any]:
    model = bench.model.read_bytes()
    window = Detector.open(bench.model).manifest.window_samples
    integers = is_quantised(model)
    clips = _clips(bench.calibration, window)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "other.onnx"
        path.write_bytes(floated(model) if integers else quantised(model, clips))
        shipped, other = Detector.open(bench.model), Detector.open(path)
        exact, small = (other, shipped) if integers else (shipped, other)
        result: dict[str, Any] = {
            "shipped": "int8" if integers else "float",
            "calibrated_on": str(bench.calibration.name) if bench.calibration else "made clips",
            "size_mb": {"float": exact.size / 1e6, "int8": small.size / 1e6},
            **_times(bench, exact, small),
            "goals": [],
        }
        if bench.judged:
            result["accuracy"] = _accuracy(exact, small, bench.judged)
    return result


def _clips(protocol: Path | None, window: int) -> list[np.ndarray]:
    """Windows of the train split of a protocol, or of made clips."""
    if protocol is None:
        return [speech_like(window / 16_000 + 1, seed)[800 * seed :][:window] for seed in range(CLIPS // 2)]
    return calibration(read(protocol, "train"), window)


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
        llrs.append(np.array([pool(model.score(block), model.manifest) for block in blocks]))
    rng = np.random.default_rng(1)
    drawn = [rng.integers(0, len(order), len(order)) for _ in range(BOOTSTRAPS)]
    lost = [eer(llrs[1][some], spoof[some]) - eer(llrs[0][some], spoof[some]) for some in drawn]
    return {
        "clips": len(order),
        "eer_float": round(eer(llrs[0], spoof), 4),
        "eer_int8": round(eer(llrs[1], spoof), 4),
        "eer_lost_95": [round(float(value), 4) for value in np.percentile(lost, [2.5, 97.5])],
    }
