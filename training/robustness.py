"""Harmless changes to real and fake clips -> how many verdicts they turn round, through serving's code.

    python -m training.robustness --protocol test.tsv --out evaluation [--model detector.onnx] [--clips 100]

Writes robustness.json and robustness.md. A flip is a verdict that goes from real to fake or back; going to or
from inconclusive claims less, not the opposite, and is counted apart.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from serving import audio
from serving.detector import Detector
from serving.errors import ClipError, ModelError
from serving.verdict import FAKE, INCONCLUSIVE, REAL, Verdict
from training import judging
from training.changes import CHANGES, Change, Samples
from training.datasets import Clip, DataError
from training.evaluate import clips_of
from training.tables import table

SEED = 5


@dataclass(frozen=True)
class Flips:
    """What one change did to the verdicts of some clips."""

    clips: int
    real_to_fake: int
    fake_to_real: int
    to_or_from_inconclusive: int
    mean_shift: float  # of the LLR; above 0 means towards fake
    mean_absolute_shift: float
    flipped: tuple[str, ...]  # the clips' paths

    @property
    def flips(self) -> int:
        return self.real_to_fake + self.fake_to_real


def choose(clips: Sequence[Clip], count: int, seed: int = SEED) -> list[Clip]:
    """`count` clips, half of each label where there are enough, from sources in turn so that none rules."""
    rng = np.random.default_rng(seed)
    labels = ("bonafide", "spoof")
    chosen = [_spread([clip for clip in clips if clip.label == label], rng) for label in labels]
    real = chosen[0][: max(count // 2, count - len(chosen[1]))]
    return real + chosen[1][: count - len(real)]


def _spread(clips: Sequence[Clip], rng: np.random.Generator) -> list[Clip]:
    """The clips in an order that takes one of each source, then another of each, and so on."""
    order = [clips[at] for at in rng.permutation(len(clips))]
    seen: dict[str, int] = {}
    ranked = []
    for clip in order:
        seen[clip.source] = seen.get(clip.source, 0) + 1
        ranked.append((seen[clip.source], clip))
    return [clip for _, clip in sorted(ranked, key=lambda pair: pair[0])]


def measure(
    detector: Detector, clips: Sequence[Clip], changes: Mapping[str, Change] = CHANGES, seed: int = SEED
) -> dict[str, Flips]:
    """Flips of each change over the clips; a clip that can't be read is left out of all of them."""
    pairs: dict[str, list[tuple[Clip, Verdict, Verdict]]] = {name: [] for name in changes}
    for clip in judging.shown(clips, "changing"):
        try:
            samples = audio.load(clip.path, audio.LOCAL)
        except (ClipError, OSError):
            continue
        plain = judging.judge_samples(detector, samples)[1]
        for name, changed in changed_clips(samples, changes, seed).items():
            pairs[name].append((clip, plain, judging.judge_samples(detector, changed)[1]))
    return {name: _count(rows) for name, rows in pairs.items()}


def changed_clips(samples: Samples, changes: Mapping[str, Change], seed: int = SEED) -> dict[str, Samples]:
    """Name of each change -> the changed clip; its noise depends on the seed and the change alone."""
    return {
        name: np.asarray(change(samples, np.random.default_rng([seed, *name.encode()])), dtype=np.float32)
        for name, change in changes.items()
    }


def _count(rows: Sequence[tuple[Clip, Verdict, Verdict]]) -> Flips:
    turns = [(before.verdict, after.verdict) for _, before, after in rows]
    shifts = np.array([after.llr - before.llr for _, before, after in rows])
    return Flips(
        clips=len(rows),
        real_to_fake=turns.count((REAL, FAKE)),
        fake_to_real=turns.count((FAKE, REAL)),
        to_or_from_inconclusive=sum(a != b and INCONCLUSIVE in (a, b) for a, b in turns),
        mean_shift=float(shifts.mean()) if len(rows) else 0.0,
        mean_absolute_shift=float(np.abs(shifts).mean()) if len(rows) else 0.0,
        flipped=tuple(
            str(row[0].path) for row, turn in zip(rows, turns, strict=True) if set(turn) == {REAL, FAKE}
        ),
    )


def markdown(found: Mapping[str, Flips], title: str) -> str:
    """One line a change."""
    header = (
        "change",
        "clips",
        "flips",
        "real to fake",
        "fake to real",
        "to or from inconclusive",
        "mean LLR shift",
    )
    rows = [
        (name, str(f.clips), str(f.flips), str(f.real_to_fake), str(f.fake_to_real),
         str(f.to_or_from_inconclusive), f"{f.mean_shift:+.2f}")
        for name, f in found.items()
    ]  # fmt: skip
    return f"{title}\n\n{table(header, rows)}\n"


def parser() -> argparse.ArgumentParser:
    options = judging.options("training.robustness", __doc__.splitlines()[0])
    options.add_argument("--clips", type=int, default=100, help="for each change, half real and half fake")
    return options


def main(arguments: list[str] | None = None) -> int:
    chosen = parser().parse_args(arguments)
    try:
        detector = judging.open_model(chosen.model)
        clips = choose(clips_of(chosen.protocol, chosen.split), chosen.clips)
    except (DataError, ModelError) as error:
        print(error, file=sys.stderr)
        return 2
    found = measure(detector, clips)
    report = {
        "data": chosen.protocol.name,
        "model": judging.described(detector),
        "changes": {name: {"flips": flips.flips, **asdict(flips)} for name, flips in found.items()},
    }
    manifest = detector.manifest
    text = markdown(found, f"Verdict flips of {manifest.name} {manifest.version} on {chosen.protocol.name}")
    judging.write_report(chosen.out, "robustness", report, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
