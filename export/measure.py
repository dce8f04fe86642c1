"""A bundle over labelled clips -> scores, through serving's own code; kept, so that each is scored once."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from serving import audio
from serving.detector import Detector
from serving.errors import ClipError
from serving.verdict import decide
from serving.whole import write_whole
from training.datasets import Clip, data_fingerprint

CODE = 1  # raise where a change to decoding, windowing or pooling makes kept scores stale


class MeasureError(Exception):
    """The clips cannot be scored."""


@dataclasses.dataclass(frozen=True)
class ClipScores:
    """Scores of one bundle over the clips of one split, in their order; unreadable clips are left out."""

    sha256: str
    fingerprint: str
    names: list[str]
    spoof: list[bool]
    source: list[str]
    attack: list[str]
    llr: list[float]
    verdict: list[str]


def score(
    model: bytes, sha256: str, clips: Sequence[Clip], cache: Path | None, label: str = ""
) -> ClipScores:
    """Scores every clip, or reads what `cache` keeps; raises MeasureError where over 5 % can't be read."""
    fingerprint = data_fingerprint(clips)
    kept = cache / f"{sha256[:16]}-{fingerprint[:16]}-{CODE}.json" if cache else None
    if kept is not None and kept.exists():
        return ClipScores(**json.loads(kept.read_text("utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detector.onnx"
        path.write_bytes(model)
        scores = _score_all(Detector.open(path), sha256, fingerprint, clips, label)
    if kept is not None:
        write_whole(kept, json.dumps(dataclasses.asdict(scores)).encode())
    return scores


def _score_all(
    detector: Detector, sha256: str, fingerprint: str, clips: Sequence[Clip], label: str
) -> ClipScores:
    scores = ClipScores(sha256, fingerprint, [], [], [], [], [], [])
    failed: list[str] = []
    for clip in tqdm(clips, desc=label or "scoring", unit="clip", file=sys.stderr, disable=None, leave=False):
        try:
            with audio.stream(clip.path) as blocks:
                verdict = decide(detector.score(blocks), detector.manifest)
        except (ClipError, OSError) as error:
            failed.append(f"{clip.path.name}: {error}")
            continue
        scores.names.append(str(clip.path))
        scores.spoof.append(clip.label == "spoof")
        scores.source.append(clip.source)
        scores.attack.append(clip.attack)
        scores.llr.append(float(verdict.llr))
        scores.verdict.append(verdict.verdict)
    if len(failed) * 20 > len(clips):
        raise MeasureError(
            f"{len(failed)} of {len(clips)} clips can't be scored, first {failed[0]}; check the data"
        )
    return scores


def common(one: ClipScores, other: ClipScores) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """LLRs of both on the clips that both scored, and whether each is spoof: (N,), (N,), (N,) bool."""
    theirs = dict(zip(other.names, other.llr, strict=True))
    rows = [
        (llr, theirs[name], spoof)
        for name, llr, spoof in zip(one.names, one.llr, one.spoof, strict=True)
        if name in theirs
    ]
    if not rows:
        raise MeasureError("The two versions have no clip in common; score both on the same protocol")
    ours, others, spoof = zip(*rows, strict=True)
    return np.array(ours), np.array(others), np.array(spoof, dtype=bool)
