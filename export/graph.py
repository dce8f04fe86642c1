"""What a graph must hold whatever its weights: no window hears its neighbours, no input gives NaN."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import onnx
import onnxruntime

from serving.detector import ORIGIN, WINDOWS
from serving.session import options

# A product of integers with its bias as one node, and where that operator is from: onnxruntime alone has it.
JOINED, OWN = "MatMulIntegerToFloat", "com.microsoft"


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """A session on one thread, as serving's."""
    return onnxruntime.InferenceSession(model, options(model), providers=["CPUExecutionProvider"])


def passed(
    graph: onnx.ModelProto, names: Sequence[str], waveforms: Iterable[np.ndarray]
) -> Iterator[list[np.ndarray]]:
    """What passes between nodes under these names, for one waveform (B, N) after another."""
    opened = onnx.ModelProto()
    opened.CopyFrom(graph)
    there = {output.name for output in graph.graph.output}
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in there)
    session = open_session(opened.SerializeToString())
    for waveform in waveforms:
        yield session.run(list(names), {"waveform": waveform})


def _said(session: onnxruntime.InferenceSession, waveforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B, N) -> LLRs of windows (B, W), and origins of frames (B, F, K), none where the model tells none."""
    origin = [output.name for output in session.get_outputs() if output.name == ORIGIN]
    found = session.run([WINDOWS, *origin], {"waveform": np.ascontiguousarray(waveforms, np.float32)})
    return found[0], found[1] if origin else np.zeros((len(waveforms), 0, 0), np.float32)


def is_quantised(model: bytes) -> bool:
    """Whether a file computes in integers anywhere."""
    return any(node.op_type == "QuantizeLinear" for node in onnx.load_from_string(model).graph.node)


def context_difference(model: bytes, window: int, hop: int, clips: Sequence[np.ndarray]) -> float:
    """Largest change of a window's LLR, or of where its frames come from: alone, in a batch beside a loud
    neighbour, inside its clip (N,).

    Infinite where the number of windows is not 1 + (N - window) // hop.
    """
    session = open_session(model)
    worst = 0.0
    for clip in clips:
        inside, origins = (rows[0] for rows in _said(session, clip[None]))
        starts = range(0, len(clip) - window + 1, hop)
        if len(inside) != len(starts):
            return float("inf")
        windows = np.stack([clip[start : start + window] for start in starts])
        loud = np.sign(np.sin(np.arange(window, dtype=np.float32)))[None]
        batched = [rows[1:] for rows in _said(session, np.concatenate([loud, windows]))]
        each = [_said(session, one[None]) for one in windows]
        alone = [np.concatenate(rows) for rows in zip(*each, strict=True)]
        pairs = [(inside, alone[0][:, 0]), (batched[0], alone[0]), (batched[1], alone[1])]
        if hop == window:  # else frames lie in several windows
            if origins.size != alone[1].size:
                return float("inf")
            pairs.append((origins, alone[1].reshape(origins.shape)))
        difference = max(np.abs(one - other).max(initial=0.0) for one, other in pairs)
        worst = max(worst, float(difference) if np.isfinite(difference) else float("inf"))
    return worst


def finite_on_extremes(model: bytes, window: int, hop: int) -> str:
    """Name of the first extreme input whose LLR or origin is not finite, empty where all are."""
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
        if not all(np.isfinite(rows).all() for rows in _said(session, waveform[None])):
            return f"not finite on {name}"
    return ""
