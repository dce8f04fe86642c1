"""Kinds of harmless change (trim, gain, codec) -> clips whose verdict one of them turns round."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from serving.detector import Detector
from training.changes import CHANGES
from training.datasets import Clip
from training.robustness import measure

KINDS: dict[str, tuple[str, ...]] = {
    "trim": ("edge trim", "edge silence", "edge silence 3 s"),
    "gain": ("-20 dB", "+6 dB"),
    "codec": ("MP3 64k", "Opus 16k", "AAC 48k"),
}


def count_flips(model: Path, clips: Sequence[Clip], kinds: Sequence[str]) -> dict[str, int]:
    """Kind -> clips that turn from real to fake, or back, under any change of that kind."""
    named = {name: CHANGES[name] for kind in kinds for name in KINDS[kind]}
    found = measure(Detector.open(model), clips, named)
    return {kind: len(set().union(*(found[name].flipped for name in KINDS[kind]))) for kind in kinds}
