"""Splices of a protocol's clips -> how well flagged spans say where a clip is fake, through serving's code.

    python -m training.splices --protocol test.tsv --out evaluation [--model detector.onnx] [--count 100]

Writes splices.json, splices.md and a confidence map of the first splice of each kind. Use clips that the
model was not trained on.
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving import audio
from serving.detector import Detector, Scores
from serving.errors import ClipError, ModelError
from serving.verdict import Verdict, curve, known
from training import judging, localisation, plots
from training.datasets import Clip, DataError
from training.evaluate import clips_of
from training.joining import KINDS, Splice, splice
from training.localisation import FRAME_S, SEGMENT_S, Span
from training.metrics import Floats
from training.robustness import choose
from training.tables import shown, table

SEED = 9
POOL = 600  # clips in memory
MIXED = ("fake in real", "real in fake")


@dataclass(frozen=True)
class Located:
    """One splice and what was flagged in it."""

    splice: Splice
    verdict: Verdict
    flagged: tuple[Span, ...]
    segments: Floats  # (segments,) scores of 160 ms each


def make(clips: Sequence[Clip], count: int, seed: int = SEED) -> list[Splice]:
    """`count` splices of each kind, from at most POOL clips spread over sources, without unreadable ones.

    Raises ValueError where the clips don't suffice.
    """
    pool = {}
    for clip in judging.shown(choose(clips, POOL, seed), "reading"):
        with contextlib.suppress(ClipError, OSError):
            pool[clip] = audio.load(clip.path, audio.LOCAL)
    seeds = [(kind, (seed, row, number)) for row, kind in enumerate(KINDS) for number in range(count)]
    return [splice(kind, list(pool), pool.__getitem__, np.random.default_rng(key)) for kind, key in seeds]


def locate(detector: Detector, splices: Sequence[Splice]) -> list[Located]:
    """Spans and segment scores of each splice."""
    return [_locate(detector, one) for one in judging.shown(splices, "locating")]


def _locate(detector: Detector, one: Splice) -> Located:
    scores, verdict = judging.judge_samples(detector, one.samples)
    flagged = tuple((span.start_s, span.end_s) for span in verdict.spans)
    return Located(one, verdict, flagged, segment_scores(scores, verdict, detector, one.duration_s))


def segment_scores(scores: Scores, verdict: Verdict, detector: Detector, duration_s: float) -> Floats:
    """Mean of the map that spans are cut from, over each 160 ms: frames, or else windows."""
    if scores.frame_llr is None or not len(scores.frame_llr):
        return localisation.cell_scores([window[:3] for window in verdict.windows], duration_s, SEGMENT_S)
    cells, hop = curve(scores, detector.manifest)
    cells = known(cells)
    hop_s = hop / detector.manifest.sample_rate
    starts = np.arange(len(cells)) * hop_s
    stretches = [(start, start + hop_s, llr) for start, llr in zip(starts, cells, strict=True)]
    return localisation.cell_scores(stretches, duration_s, SEGMENT_S)


def figures(found: Sequence[Located]) -> dict[str, Any]:
    """Overall figures on mixed clips, then each kind by itself."""
    mixed = [one for one in found if one.splice.kind in MIXED]
    return {
        "mixed": _localised(mixed),
        "controls_flagged": {
            "real in real": _share([bool(one.flagged) for one in found if one.splice.kind == "real in real"]),
            # All of it is spoof: what must not happen is that the joins or the insert alone are flagged.
            "fake in fake, under half flagged": _share(
                [_iou(one) < 0.5 for one in found if one.splice.kind == "fake in fake"]
            ),
        },
        "kinds": {kind: _localised([one for one in found if one.splice.kind == kind]) for kind in KINDS},
    }


def _localised(found: Sequence[Located]) -> dict[str, Any]:
    """Span IoU, frame F1 and segment EER over some splices; nan where they have no meaning."""
    if not found:
        return {"clips": 0}
    frames = [localisation.cells(one.flagged, one.splice.duration_s, FRAME_S) for one in found]
    true = [localisation.cells(one.splice.spoof, one.splice.duration_s, FRAME_S) for one in found]
    return {
        "clips": len(found),
        "span_iou": float(np.mean([_iou(one) for one in found])),
        "frame_f1": localisation.frame_f1(frames, true),
        "segment_eer": _segment_eer(found),
        "found": _share([_covered(one) >= 0.5 for one in found if one.splice.spoof]),
        "any_flagged": _share([bool(one.flagged) for one in found]),
        "called_fake": _share([one.verdict.verdict == "fake" for one in found]),
    }


def _segment_eer(found: Sequence[Located]) -> float:
    spoof = [(one.splice.spoof, one.splice.duration_s) for one in found]
    true = [localisation.cells(spans, duration_s, SEGMENT_S) for spans, duration_s in spoof]
    labels = np.concatenate(true)
    if labels.all() or not labels.any():
        return float("nan")
    return localisation.segment_eer([one.segments for one in found], true)


def _iou(one: Located) -> float:
    return localisation.span_iou(one.flagged, one.splice.spoof)


def _covered(one: Located) -> float:
    """Share of the spoofed seconds that spans cover."""
    spoofed = sum(end - start for start, end in one.splice.spoof)
    return localisation.shared_s(one.flagged, one.splice.spoof) / spoofed


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else float("nan")


def markdown(report: dict[str, Any], title: str) -> str:
    """One line a kind, mixed clips first."""
    header = (
        "splices",
        "clips",
        "span IoU",
        "frame F1, 80 ms",
        "segment EER, 160 ms",
        "half of the fake flagged",
        "any span",
        "called fake",
    )
    rows = [("mixed", report["mixed"]), *report["kinds"].items()]
    lines = [
        (name, str(row["clips"]), shown(row["span_iou"], "2"), shown(row["frame_f1"], "2"),
         shown(row["segment_eer"], "%"), shown(row["found"], "%"), shown(row["any_flagged"], "%"),
         shown(row["called_fake"], "%"))
        for name, row in rows
        if row["clips"]
    ]  # fmt: skip
    flagged = ", ".join(f"{name} {shown(share, '%')}" for name, share in report["controls_flagged"].items())
    return f"{title}\n\n{table(header, lines)}\n\nControls flagged: {flagged}.\n"


def parser() -> argparse.ArgumentParser:
    options = judging.options("training.splices", __doc__.splitlines()[0])
    options.add_argument("--count", type=int, default=100, help="splices of each kind")
    return options


def main(arguments: list[str] | None = None) -> int:
    chosen = parser().parse_args(arguments)
    try:
        detector = judging.open_model(chosen.model)
        found = locate(detector, make(clips_of(chosen.protocol, chosen.split), chosen.count))
    except (DataError, ModelError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    report = figures(found)
    manifest = detector.manifest
    text = markdown(report, f"Splices of {chosen.protocol.name} by {manifest.name} {manifest.version}")
    facts = {"data": chosen.protocol.name, "model": judging.described(detector), **report}
    judging.write_report(chosen.out, "splices", facts, text)
    for kind in KINDS:
        one = next(one for one in found if one.splice.kind == kind)
        drawn = plots.confidence_map(
            one.splice.samples, audio.SAMPLE_RATE, one.verdict.map, one.verdict.spans, one.splice.spoof
        )
        plots.save(drawn, chosen.out / f"splice-{kind.replace(' ', '-')}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
