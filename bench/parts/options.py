"""What onnxruntime's settings are worth on a 10 s clip: optimisation, arena, threads, windows a call."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime

from bench import peak
from bench.plan import Bench
from bench.stats import spread
from serving.detector import Detector
from serving.session import EXACT, options, precision

LEVELS = {
    "no optimisation": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all (shipped)": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
CLIP_SAMPLES = 160_000


def _variants(model: bytes) -> dict[str, onnxruntime.SessionOptions]:
    found = {}
    for name, level in LEVELS.items():
        found[name] = options(model)
        found[name].graph_optimization_level = level
    found["all, no memory arena"] = options(model)
    found["all, no memory arena"].enable_cpu_mem_arena = False
    found["all, 2 threads"] = options(model, 2)
    found["all, 2 threads that don't spin"] = options(model, 2)
    found["all, 2 threads that don't spin"].add_session_config_entry("session.intra_op.allow_spinning", "0")
    if EXACT not in precision(model):
        found["all, asked for wide sums"] = options(model)
        found["all, asked for wide sums"].add_session_config_entry(EXACT, "1")
    return found


def run(bench: Bench) -> dict[str, Any]:
    waveform = np.random.default_rng(0).normal(0, 0.1, (1, CLIP_SAMPLES)).astype(np.float32)
    sessions = {
        name: onnxruntime.InferenceSession(str(bench.model), chosen, providers=["CPUExecutionProvider"])
        for name, chosen in _variants(bench.model.read_bytes()).items()
    }
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(bench.plan.repeats):  # A B C A B C
        for name, session in sessions.items():
            call = _call(session, waveform)
            times[name].append(1000 * peak.fastest(call, 3))
    reference = sessions["all (shipped)"].run(None, {"waveform": waveform})[0]
    difference = {
        name: float(f"{np.abs(session.run(None, {'waveform': waveform})[0] - reference).max():.2g}")
        for name, session in sessions.items()
    }
    return {
        "ms": {name: spread(values).as_dict() for name, values in times.items()},
        "llr_difference": difference,
        "windows_a_call_ms_per_window": _by_windows(bench),
        "goals": [],
    }


def _call(session: onnxruntime.InferenceSession, waveform: np.ndarray) -> Callable[[], Any]:
    return lambda: session.run(None, {"waveform": waveform})


def _by_windows(bench: Bench) -> dict[int, float]:
    """Milliseconds a window when so many go into one call: what bounding the batch costs."""
    detector = Detector.open(bench.model)
    window, hop = detector.manifest.window_samples, detector.manifest.hop_samples
    found = {}
    for count in (1, 2, 4, 8, 16, 32):
        waveform = np.zeros((1, window + (count - 1) * hop), np.float32) + 0.01
        call = _call(detector._session, waveform)
        call()
        found[count] = round(1000 * peak.fastest(call, bench.plan.repeats) / count, 3)
    return found
