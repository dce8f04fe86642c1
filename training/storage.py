"""Samples -> clip files and rows -> protocol TSVs, as the corpus stores them; written whole, then renamed."""

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from serving.audio import SAMPLE_RATE

COLUMNS = (
    "file",
    "label",
    "attack",
    "source",
    "speaker",
    "language",
    "original_rate_hz",
    "seconds",
    "licence",
)
# Nine tenths go through Opus as nine tenths of the corpus' train did: the codec must not tell the label.
OPUS_SHARE = 0.9


def write_clip(path: Path, samples: NDArray[np.floating], rng: np.random.Generator) -> Path:
    """Write (N,) at 16 kHz as Opus at 24 to 64 kbit/s or as FLAC; returns `path` with the suffix it got."""
    if rng.random() < OPUS_SHARE:
        kbps = rng.uniform(24, 64)
        final = path.with_name(path.name + ".opus")
        options = {"format": "OGG", "subtype": "OPUS", "compression_level": 1 - (kbps - 6) / 250}
    else:
        final = path.with_name(path.name + ".flac")
        options = {"format": "FLAC", "subtype": "PCM_16"}
    part = final.with_name(final.name + ".part")
    soundfile.write(part, samples, SAMPLE_RATE, **options)
    os.replace(part, final)
    return final


def written(path: Path) -> Path | None:
    """The clip that an earlier run wrote under this name (without suffix), if any."""
    found = (path.with_name(path.name + suffix) for suffix in (".opus", ".flac"))
    return next((file for file in found if file.exists()), None)


def write_protocol(path: Path, rows: Iterable[dict[str, str]], columns: Sequence[str] = COLUMNS) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, delimiter="\t", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(part, path)
