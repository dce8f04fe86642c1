"""Packages of recorded and of synthetic speech -> clips and packages.tsv, all for train; cached, resumable.

python -m training.packages --out data/packages
"""

import argparse
import hashlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from serving.audio import ClipError, Limits, load
from training.packages import recorded, spoken
from training.packages.shape import clip_of
from training.storage import write_clip, write_protocol, written

SEED = 5
EVERY = 20  # rows: a protocol of what is done so far is there while the rest is made
ANY_LENGTH = Limits(min_s=0.0)


def _row(path: Path, out: Path, **fields: str) -> dict[str, str]:
    seconds = soundfile.info(path).duration
    return {"file": path.relative_to(out).as_posix(), "seconds": f"{seconds:.2f}", **fields}


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng(int(name, 16))


def _recorded_clip(recording: recorded.Recording, root: Path, out: Path) -> Path | None:
    """The recording's clip, or None where it can't be read or too little of it is speech."""
    name = _name(f"{recording.package}/{recording.path.relative_to(root)}")
    target = out / "bonafide" / name
    if done := written(target):
        return done
    try:
        samples = load(recording.path, ANY_LENGTH)
    except ClipError:
        return None
    clip = clip_of(samples, _rng(name))
    return None if clip is None else write_clip(target, clip, _rng(name))


def _recorded_rows(out: Path) -> Iterator[dict[str, str]]:
    for package in tqdm(recorded.PACKAGES, unit="package"):
        root = recorded.unpacked(package, out / "unpacked")
        licence = recorded.licences(root)
        for voice, most in recorded.recordings(package, root, np.random.default_rng(SEED)):
            found = ((one, _recorded_clip(one, root, out)) for one in voice)
            kept = ((one, path) for one, path in found if path)
            for _, (one, path) in zip(range(most), kept, strict=False):  # the range first: it ends the pull
                yield _row(
                    path,
                    out,
                    label="bonafide",
                    attack="-",
                    source=f"debian:{package.name}",
                    speaker=f"{package.name}-{one.voice}",
                    language=one.language,
                    original_rate_hz=str(soundfile.info(one.path).samplerate),
                    licence=licence,
                )


def _spoken_rows(out: Path) -> Iterator[dict[str, str]]:
    for line in tqdm(spoken.lines(np.random.default_rng(SEED)), unit="clip"):
        name = _name(f"{line.attack}/{line.voice}/{line.text}/{line.speed}")
        target = out / "spoof" / name
        path = written(target)
        if path is None:
            clip = clip_of(spoken.say(line), _rng(name))
            if clip is None:
                continue
            path = write_clip(target, clip, _rng(name))
        yield _row(
            path,
            out,
            label="spoof",
            attack=line.attack,
            source=f"debian:{line.attack}",
            speaker=f"{line.attack}-{line.voice}",
            language=line.language,
            original_rate_hz=str(spoken.RATES_HZ[line.attack]),
            licence=spoken.LICENCES[line.attack],
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips and packages.tsv")
    out: Path = parser.parse_args().out
    for label in ("bonafide", "spoof"):
        (out / label).mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []
    for row in chain(_recorded_rows(out), _spoken_rows(out)):
        rows.append(row)
        if len(rows) % EVERY == 0:
            write_protocol(out / "packages.tsv", rows)
    write_protocol(out / "packages.tsv", rows)


if __name__ == "__main__":
    main()
