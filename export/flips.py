"""Harmless changes to a clip (trimmed edges, another level, a codec) -> how many verdicts they flip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from serving import audio
from serving.audio import SAMPLE_RATE
from serving.detector import Detector
from serving.errors import ClipError
from serving.verdict import decide
from training.codecs import transcode
from training.datasets import Clip

Change = Callable[[np.ndarray], np.ndarray]  # (N,) -> (M,)
EDGE_SAMPLES = SAMPLE_RATE // 20  # 0.05 s off each end

CHANGES: dict[str, Sequence[Change]] = {
    "trim": (lambda samples: samples[EDGE_SAMPLES:-EDGE_SAMPLES],),
    "gain": (lambda samples: samples * 10 ** (-20 / 20), lambda samples: samples * 10 ** (-6 / 20)),
    "codec": (
        lambda samples: transcode(samples, "mp3", 64_000),
        lambda samples: transcode(samples, "opus", 24_000),
    ),
}


def count_flips(model: Path, clips: Sequence[Clip], changes: Sequence[str]) -> dict[str, int]:
    """Clips whose verdict turns from real to fake, or back, under any variant of each named change.

    Turning inconclusive is no flip: the verdict then claims less, not the opposite. Clips that can't be read
    count for nothing here.
    """
    detector = Detector.open(model)
    flips = dict.fromkeys(changes, 0)
    for clip in clips:
        try:
            samples = audio.load(clip.path)
        except (ClipError, OSError):
            continue
        plain = _verdict(detector, samples)
        for name in changes:
            verdicts = {_verdict(detector, variant(samples).astype(np.float32)) for variant in CHANGES[name]}
            flips[name] += {plain, *verdicts} >= {"real", "fake"}
    return flips


def _verdict(detector: Detector, samples: np.ndarray) -> str:
    return decide(detector.score([samples]), detector.manifest).verdict
