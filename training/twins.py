"""Real clips of a protocol -> a protocol of their spoof twins, cached and resumable.

python -m training.twins --protocol train.tsv --out data/twins --methods world griffinlim hifigan --jobs 2
"""

import argparse
import csv
import hashlib
import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from serving.audio import SAMPLE_RATE, load
from training.copysynthesis import LICENCES, VOCODERS, twin

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
    "twin_of",
)
OPUS_SHARE = (
    0.9  # of twins go through Opus as nine tenths of the originals did: the codec must not tell the label
)


@dataclass(frozen=True)
class Job:
    original: Path
    target: Path  # without suffix
    method: str


def _rng(job: Job) -> np.random.Generator:
    digest = hashlib.sha256(f"{job.original.name}/{job.method}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _write(path: Path, samples: np.ndarray, rng: np.random.Generator) -> Path:
    """Write whole (temporary name, then rename), as Opus at 24 to 64 kbit/s or as FLAC."""
    if rng.random() < OPUS_SHARE:
        kbps = rng.uniform(24, 64)
        final, options = (
            path.with_suffix(".opus"),
            {"format": "OGG", "subtype": "OPUS", "compression_level": 1 - (kbps - 6) / 250},
        )
    else:
        final, options = path.with_suffix(".flac"), {"format": "FLAC", "subtype": "PCM_16"}
    part = final.with_name(final.name + ".part")
    soundfile.write(part, samples, SAMPLE_RATE, **options)
    os.replace(part, final)
    return final


def make(job: Job) -> Path:
    """Make one twin, or return the one that an earlier run made."""
    for suffix in (".opus", ".flac"):
        if (done := job.target.with_suffix(suffix)).exists():
            return done
    rng = _rng(job)
    return _write(job.target, twin(load(job.original), job.method, rng), rng)


def _row(row: dict[str, str], method: str, path: Path, out: Path) -> dict[str, str]:
    return row | {
        "file": str(path.relative_to(out)),
        "label": "spoof",
        "attack": f"copy:{method}",
        "licence": f"{row['licence']}; {LICENCES[method]}",
        "twin_of": row["file"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--protocol", type=Path, required=True, help="TSV whose bona fide rows get twins")
    parser.add_argument("--out", type=Path, required=True, help="folder for the twins and twins.tsv")
    parser.add_argument("--methods", nargs="+", choices=sorted(VOCODERS), default=sorted(VOCODERS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    with args.protocol.open(newline="") as file:
        real = [row for row in csv.DictReader(file, delimiter="\t") if row["label"] == "bonafide"]
    wanted = [(row, method) for method in args.methods for row in real]
    for method in args.methods:
        (args.out / method).mkdir(parents=True, exist_ok=True)
    jobs = [Job(args.protocol.parent / r["file"], args.out / m / Path(r["file"]).stem, m) for r, m in wanted]
    with multiprocessing.Pool(args.jobs) as pool:
        paths = list(tqdm(pool.imap(make, jobs, chunksize=8), total=len(jobs), unit="twin"))
    with (args.out / "twins.tsv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(_row(r, m, path, args.out) for (r, m), path in zip(wanted, paths, strict=True))


if __name__ == "__main__":
    main()
