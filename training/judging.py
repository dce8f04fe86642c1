"""Clips -> verdicts through serving's own decoder, graph and decision, as every published figure comes."""

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from serving import audio
from serving.detection import detect
from serving.detector import Detector, Scores
from serving.errors import ClipError
from serving.models import BUNDLE, stated_sha256
from serving.verdict import Verdict, decide
from serving.whole import write_whole
from training.datasets import Clip

T = TypeVar("T")


@dataclass(frozen=True)
class Judged:
    """One clip and what the detector said of it."""

    clip: Clip
    verdict: Verdict


def open_model(path: Path | None) -> Detector:
    """The model at this path, by default the shipped one. Raises ModelError."""
    model = path or BUNDLE
    return Detector.open(model, expected_sha256=stated_sha256(model))


def options(program: str, purpose: str) -> argparse.ArgumentParser:
    """The command line that every measurement shares: what to measure on, which model, where to write."""
    found = argparse.ArgumentParser(prog=f"python -m {program}", description=purpose)
    found.add_argument("--protocol", type=Path, required=True, help="protocol TSV or corpus folder")
    found.add_argument("--split", default="test", help="of a corpus folder; a TSV is taken whole")
    found.add_argument("--model", type=Path, help="ONNX file; the shipped bundle by default")
    found.add_argument("--out", type=Path, required=True, help="folder to write")
    return found


def described(detector: Detector) -> dict[str, Any]:
    """What identifies the model in a file of figures."""
    manifest = detector.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "sha256": detector.sha256,
        "architecture": manifest.architecture,
        "trained_on": manifest.trained_on,
        "smoke": manifest.smoke,
        "threshold": manifest.threshold,
    }


def finite(value: Any) -> Any:
    """The same with nan and infinities as None, which JSON has no words for."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_report(out: Path, name: str, facts: dict[str, Any], text: str) -> None:
    """The facts as NAME.json and the text as NAME.md in a folder, each written whole; the text on stdout."""
    write_whole(out / f"{name}.json", (json.dumps(finite(facts), indent=1) + "\n").encode())
    write_whole(out / f"{name}.md", text.encode())
    print(text)


def judge(
    detector: Detector, clips: Sequence[Clip], what: str = "scoring"
) -> tuple[list[Judged], dict[str, str]]:
    """Verdicts in the clips' order, and path -> complaint of those that could not be scored."""
    judged, complaints = [], {}
    for clip in shown(clips, what):
        try:
            with audio.stream(clip.path, audio.LOCAL) as blocks:
                judged.append(Judged(clip, detect(blocks, detector).verdict))
        except (ClipError, OSError) as error:
            complaints[str(clip.path)] = str(error)
    return judged, complaints


def judge_samples(detector: Detector, samples: NDArray[np.float32]) -> tuple[Scores, Verdict]:
    """(N,) mono samples at 16 kHz, as they are behind the decoder -> scores and verdict."""
    scores = detector.score([samples])
    return scores, decide(scores, detector.manifest)


def shown(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, with a progress bar on stderr where that is a terminal."""
    bar: Iterable[T] = tqdm(items, desc=what, unit="clip", file=sys.stderr, disable=None, leave=False)
    return bar
