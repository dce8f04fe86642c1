"""Clips of speech and files of other sounds -> how well a model's novelty tells the two apart.

    python -m training.outsiders --protocol test.tsv --other folder/of/sounds --out evaluation

Writes outsiders.json and outsiders.md. `other` holds what the model was never meant for, such as music or the
effects of a game; a clip counts as noted where its mean novelty is above 1, as the note to a verdict does.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from serving import audio
from serving.detector import Detector
from serving.errors import ClipError, ModelError
from serving.quality import MOST_NOVEL
from serving.score import clips_under
from training import judging
from training.datasets import DataError
from training.evaluate import clips_of
from training.metrics import Floats, auc
from training.tables import shown, table

LONGEST_S = 30.0  # of a file that is heard: a piece of music is not better known by its end


def novelties(detector: Detector, paths: Iterable[Path], what: str) -> Floats:
    """Mean novelty of each file that can be read. Raises ModelError where the model has none."""
    found = []
    for path in judging.shown(list(paths), what):
        try:
            samples = audio.load(path, audio.LOCAL)[: round(LONGEST_S * audio.SAMPLE_RATE)]
        except (ClipError, OSError):
            continue
        novelty = detector.score([samples], with_sections=False).clip_novelty
        if novelty is None:
            raise ModelError("This model does not tell novelty. Make one with `python -m training.familiar`.")
        found.append(novelty)
    return np.array(found)


def figures(kinds: dict[str, Floats], other: Floats) -> dict[str, Any]:
    """Of speech by kind and of the other sounds: number, median, share noted, AUC against the others."""

    def row(values: Floats) -> dict[str, float]:
        if not len(values):
            return {"clips": 0}
        both, labels = np.concatenate([values, other]), np.repeat([False, True], [len(values), len(other)])
        return {
            "clips": len(values),
            "median": float(np.median(values)),
            "noted": float(np.mean(values > MOST_NOVEL)),
            "auc": auc(both, labels) if len(other) else float("nan"),
        }

    return {
        **{name: row(values) for name, values in kinds.items()},
        "other sounds": row(other) | {"auc": float("nan")},
    }


def markdown(found: dict[str, Any], title: str) -> str:
    """One line a kind."""
    header = (
        "clips",
        "number",
        "median novelty",
        "noted as unlike the training data",
        "AUC against other sounds",
    )
    rows = [
        (name, str(row["clips"]), f"{row['median']:.2f}", shown(row["noted"], "%"), shown(row["auc"], "3"))
        for name, row in found.items()
        if row["clips"]
    ]
    return f"{title}\n\n{table(header, rows)}\n"


def parser() -> argparse.ArgumentParser:
    options = judging.options("training.outsiders", __doc__.splitlines()[0])
    options.add_argument("--other", type=Path, required=True, help="folder of sounds that are no speech")
    return options


def main(arguments: list[str] | None = None) -> int:
    chosen = parser().parse_args(arguments)
    try:
        detector = judging.open_model(chosen.model)
        clips = clips_of(chosen.protocol, chosen.split)
        kinds = {
            name: novelties(detector, (clip.path for clip in clips if clip.label == label), name)
            for name, label in (("real speech", "bonafide"), ("fake speech", "spoof"))
        }
        found = figures(
            kinds, novelties(detector, (p for _, p in clips_under([chosen.other])), "other sounds")
        )
    except (DataError, ModelError) as error:
        print(error, file=sys.stderr)
        return 2
    manifest = detector.manifest
    text = markdown(found, f"Novelty by {manifest.name} {manifest.version} on {chosen.protocol.name}")
    facts = {"data": chosen.protocol.name, "model": judging.described(detector), "kinds": found}
    judging.write_report(chosen.out, "outsiders", facts, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
