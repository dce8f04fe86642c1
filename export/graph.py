"""What a graph must hold whatever its weights: no window hears its neighbours, no input gives NaN."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """A session on one thread, as serving's."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _window_llr(session: onnxruntime.InferenceSession, waveforms: np.ndarray) -> np.ndarray:
    """(B, N) -> (B, W)."""
    found: np.ndarray = session.run(
        ["window_llr"], {"waveform": np.ascontiguousarray(waveforms, np.float32)}
    )[0]
    return found


def is_quantised(model: bytes) -> bool:
    """Whether a file computes in integers anywhere."""
    return any(node.op_type == "QuantizeLinear" for node in onnx.load_from_string(model).graph.node)


def context_difference(model: bytes, window: int, hop: int, clips: Sequence[np.ndarray]) -> float:
    """Largest change of a window's LLR: alone, in a batch beside a loud neighbour, inside its clip (N,).

    Infinite where the number of windows is not 1 + (N - window) // hop.
    """
    session = open_session(model)
    worst = 0.0
    for clip in clips:
        inside = _window_llr(session, clip[None])[0]
        starts = range(0, len(clip) - window + 1, hop)
        if len(inside) != len(starts):
            return float("inf")
        windows = np.stack([clip[start : start + window] for start in starts])
        loud = np.sign(np.sin(np.arange(window, dtype=np.float32)))[None]
        batched = _window_llr(session, np.concatenate([loud, windows]))[1:, 0]
        alone = np.array([_window_llr(session, one[None])[0, 0] for one in windows])
        difference = max(np.abs(inside - alone).max(), np.abs(batched - alone).max())
        worst = max(worst, float(difference) if np.isfinite(difference) else float("inf"))
    return worst


def finite_on_extremes(model: bytes, window: int, hop: int) -> str:
    """Name of the first extreme input whose LLR is not finite, empty where all are."""
    session = open_session(model)
    length = window + hop
    rng = np.random.default_rng(0)
    extremes = {
        "silence": np.zeros(length),
        "faint noise": 1e-5 * rng.standard_normal(length),
        "direct current": np.ones(length),
        "full-scale noise": np.sign(rng.standard_normal(length)),
        "one click in silence": np.eye(1, length)[0],
    }
    for name, waveform in extremes.items():
        if not np.isfinite(_window_llr(session, waveform[None])).all():
            return f"not finite on {name}"
    return ""
