"""torch module against ONNX file: the same waveforms through both, at lengths where framing mistakes show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from export.graph import open_session
from serving.audio import SAMPLE_RATE
from serving.detector import NOVELTY, ORIGIN

TOLERANCE = 1e-4  # largest difference of an LLR between torch and ONNX that counts as equal


@dataclass(frozen=True)
class Difference:
    """|torch - ONNX| over all LLRs of all outputs; infinite where one is not finite."""

    largest: float
    mean: float


def difference(module: torch.nn.Module, model: bytes, clips: Sequence[np.ndarray]) -> Difference:
    """Of each waveform (N,) alone and in a batch of two."""
    session = open_session(model)
    llrs = [output.name for output in session.get_outputs() if output.name not in (NOVELTY, ORIGIN)]
    found = [np.zeros(1)]
    for clip in clips:
        for batch in (clip[None], np.stack([clip, clip[::-1]])):
            batch = np.ascontiguousarray(batch, dtype=np.float32)
            with torch.no_grad():
                outputs = module(torch.from_numpy(batch))
            expected = outputs if isinstance(outputs, tuple) else (outputs,)
            theirs = session.run(llrs, {"waveform": batch})
            found += [
                np.abs(one.numpy() - other).ravel()
                for one, other in zip(expected[: len(llrs)], theirs, strict=True)
            ]
    every = np.concatenate(found)
    every[~np.isfinite(every)] = np.inf
    return Difference(float(every.max()), float(every.mean()))


def largest_difference(module: torch.nn.Module, model: bytes, clips: Sequence[np.ndarray]) -> float:
    """The largest of `difference`."""
    return difference(module, model, clips).largest


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
