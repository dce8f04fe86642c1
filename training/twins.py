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
from tqdm import tqdm

from serving.audio import load
from training import storage
from training.copysynthesis import LICENCES, VOCODERS, twin

COLUMNS = (*storage.COLUMNS, "twin_of")


@dataclass(frozen=True)
class Job:
    original: Path
    target: Path  # without suffix
    method: str


def _rng(job: Job) -> np.random.Generator:
    digest = hashlib.sha256(f"{job.original.name}/{job.method}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def make(job: Job) -> Path:
    """Make one twin, or return the one that an earlier run made."""
    if done := storage.written(job.target):
        return done
    rng = _rng(job)
    return storage.write_clip(job.target, twin(load(job.original), job.method, rng), rng)


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
    rows = (_row(r, m, path, args.out) for (r, m), path in zip(wanted, paths, strict=True))
    storage.write_protocol(args.out / "twins.tsv", rows, COLUMNS)


if __name__ == "__main__":
    main()
