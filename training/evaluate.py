"""A model file over a protocol, through serving's code -> metrics.json, table.md, scores.tsv and plots.

    python -m training.evaluate --protocol test.tsv --out evaluation [--model detector.onnx]

Without --model the shipped bundle is measured. --protocol also takes any corpus folder that
`training.datasets` reads, with --split (test by default). Exit code 1 where clips could not be scored; they
are named in metrics.json.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from serving.detector import Detector
from serving.errors import ModelError
from serving.whole import write_whole
from training import figures, judging, plots
from training.datasets import Clip, DataError, data_fingerprint, protocol, read
from training.judging import Judged
from training.tables import markdown


def clips_of(data: Path, split: str) -> list[Clip]:
    """All rows of a protocol file, or one split of a corpus folder. Raises DataError."""
    return protocol.read_file(data, split) if data.suffix.lower() == ".tsv" else read(data, split)


def measure(
    detector: Detector, clips: Sequence[Clip], data: str, trained_on: Sequence[Clip] = ()
) -> tuple[dict[str, Any], list[Judged]]:
    """Every figure as a dict, and the verdicts behind it; with the training clips also known and unknown
    generators apart. Raises ValueError where a class is missing."""
    judged, complaints = judging.judge(detector, clips)
    threshold = detector.manifest.threshold
    total = figures.overall(judged, threshold)
    sources = figures.by_source(judged, threshold)
    report = {
        "data": data,
        "date": date.today().isoformat(),
        "data_fingerprint": data_fingerprint(clips),
        "model": judging.described(detector),
        "clips": len(clips),
        "not_scored": complaints,
        "overall": total,
        "within_source": figures.within_source(sources),
        "worst_real_source": figures.worst_real(sources),
        "sources": sources,
        "attacks": figures.by_attack(judged, threshold),
    }
    if trained_on:
        known = {clip.attack for clip in trained_on if clip.label == "spoof"}
        report["familiarity"] = figures.by_familiarity(judged, known, threshold)
    return report, judged


def write(out: Path, report: dict[str, Any], judged: Sequence[Judged], detector: Detector) -> None:
    """The report as files in `out`, each written whole."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "metrics.json", (json.dumps(judging.finite(report), indent=1) + "\n").encode())
    write_whole(out / "table.md", markdown(report).encode())
    write_whole(out / "scores.tsv", scores_tsv(judged).encode())
    llr, spoof = figures.arrays(judged)
    manifest = detector.manifest
    plots.save(plots.det(llr, spoof, f"{manifest.name} {manifest.version}"), out / "det.png")
    plots.save(plots.scores(llr, spoof, manifest.threshold, manifest.inconclusive), out / "scores.png")
    plots.save(plots.reliability(llr, spoof), out / "reliability.png")
    attacks = [(name, figures.interval(row, "eer")) for name, row in report["attacks"].items()]
    plots.save(plots.bars("Per attack, against all real clips", "EER", attacks), out / "attacks.png")


def scores_tsv(judged: Sequence[Judged]) -> str:
    """One line a clip: file, label, attack, source, llr, verdict."""
    lines = ["file\tlabel\tattack\tsource\tllr\tverdict"]
    for one in judged:
        clip = one.clip
        fields = (
            str(clip.path),
            clip.label,
            clip.attack,
            clip.source,
            f"{one.verdict.llr:.6f}",
            one.verdict.verdict,
        )
        lines.append("\t".join(fields))
    return "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    options = judging.options("training.evaluate", __doc__.splitlines()[0])
    options.add_argument(
        "--trained-on", type=Path, metavar="TSV",
        help="protocol of the training clips: known and unknown generators are told apart",
    )  # fmt: skip
    return options


def main(arguments: list[str] | None = None) -> int:
    chosen = parser().parse_args(arguments)
    try:
        detector = judging.open_model(chosen.model)
        clips = clips_of(chosen.protocol, chosen.split)
        trained_on = clips_of(chosen.trained_on, "train") if chosen.trained_on else []
        report, judged = measure(detector, clips, f"{chosen.protocol.name} ({len(clips)} clips)", trained_on)
    except (DataError, ModelError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    write(chosen.out, report, judged, detector)
    print(markdown(report))
    for path, complaint in report["not_scored"].items():
        print(f"{path}: {complaint}", file=sys.stderr)
    return 1 if report["not_scored"] else 0


if __name__ == "__main__":
    sys.exit(main())
