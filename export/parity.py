"""torch module against ONNX file: the same waveforms through both, at lengths where framing mistakes show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from export.graph import open_session
from serving.audio import SAMPLE_RATE

TOLERANCE = 1e-4  # largest difference of an LLR between torch and ONNX that counts as equal


def largest_difference(module: torch.nn.Module, model: bytes, clips: Sequence[np.ndarray]) -> float:
    """Largest |torch - ONNX| over all outputs, for each waveform (N,) alone and in a batch of two."""
    session = open_session(model)
    worst = 0.0
    for clip in clips:
        for batch in (clip[None], np.stack([clip, clip[::-1]])):
            batch = np.ascontiguousarray(batch, dtype=np.float32)
            with torch.no_grad():
                outputs = module(torch.from_numpy(batch))
            expected = outputs if isinstance(outputs, tuple) else (outputs,)
            found = session.run(None, {"waveform": batch})
            for one, other in zip(expected, found, strict=True):
                difference = np.abs(one.numpy() - other)
                worst = max(
                    worst, float(np.max(difference, initial=0.0)) if np.isfinite(difference).all() else np.inf
                )
    return worst


def probe_clips(window_samples: int, hop_samples: int, seed: int = 0) -> list[np.ndarray]:
    """Voice-like waveforms (N,) of a window, one sample more, a hop more and so on."""
    rng = np.random.default_rng(seed)
    extras = [0, 1, hop_samples - 1, hop_samples, window_samples, 2 * window_samples + hop_samples // 2]
    clips = []
    for length in (window_samples + extra for extra in extras):
        seconds = np.arange(length) / SAMPLE_RATE
        pitch_hz = 100 + 100 * rng.random()
        voice = sum(np.sin(2 * np.pi * pitch_hz * k * seconds + rng.random()) / k for k in range(1, 20))
        level = 0.05 + 0.05 * np.sin(2 * np.pi * 3 * seconds)
        clips.append((level * voice + 0.003 * rng.standard_normal(length)).astype(np.float32))
    return clips
