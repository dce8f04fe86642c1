"""Makes the smoke sample: eSpeak NG's synthetic speech against a signal-made stand-in for human speech.

    python -m training.sample --out mlruns/sample

It lets anyone try train -> compare -> export -> promote -> serve in minutes, offline, without a corpus. It
holds no human voice, so a model fitted to it detects nothing: its sources begin with `smoke:`, `is_smoke`
finds them in any list of clips, and a run on such clips is a smoke run, which promotion refuses.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from serving.audio import SAMPLE_RATE
from training import standin
from training.datasets import Clip
from training.storage import COLUMNS

SMOKE = "smoke:"  # every source of the sample begins with it
DEFAULT = Path("mlruns/sample")
SIZES = {"train": 100, "dev": 40, "test": 40}  # clips of each label
VOICES = {
    "train": ("en-us+m1", "en-us+f2", "de+m3", "fr+f1"),
    "dev": ("en-gb-scotland+m4", "es+f3"),
    "test": ("it+m2", "pl+f4"),
}
LONGEST_S = 3.0
SPEAKING = ((130, 200), (30, 70), (30, 70), (0, 2**31))  # words a minute, pitch, its range, seed
TEXTS = (
    "The ship left the harbour before the sun was up.",
    "Seven small boats followed it as far as the old tower.",
    "Nobody on the pier could say where they were going.",
    "In the evening a letter came, written on yellow paper.",
    "It asked for three lamps, a rope and a bag of salt.",
    "She read it twice and put it under the blue cup.",
    "The next morning the harbour was empty and quiet.",
    "A dog walked along the water and looked at the gulls.",
)


def is_smoke(clips: Iterable[Clip]) -> bool:
    """Whether any clip is of the smoke sample."""
    return any(clip.source.startswith(SMOKE) for clip in clips)


def make(folder: Path, sizes: dict[str, int] | None = None, seed: int = 1) -> Path:
    """Writes the sample unless it is there; gives its train.tsv, beside which lie dev.tsv and test.tsv.

    The folder appears whole or not at all. The same seed gives the same voices, texts and lengths, and in a
    fresh process the same samples; eSpeak NG carries some state from one clip to the next.
    """
    if not (folder / "train.tsv").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".sample-") as made:
            for split, size in (sizes or SIZES).items():
                _write_split(Path(made) / "sample", split, size, seed)
            shutil.rmtree(folder, ignore_errors=True)
            (Path(made) / "sample").rename(folder)
    return folder / "train.tsv"


def _write_split(folder: Path, split: str, size: int, seed: int) -> None:
    (folder / split).mkdir(parents=True)
    lines = ["\t".join(COLUMNS)]
    rng = np.random.default_rng([seed, *split.encode()])
    for number, (label, attack, speaker, samples) in enumerate(_speech(split, size, rng)):
        name = f"{split}/{label}-{number:04}.wav"
        soundfile.write(folder / name, samples, SAMPLE_RATE, subtype="PCM_16")
        source = f"{SMOKE}{attack if label == 'spoof' else 'stand-in'}"
        seconds = f"{len(samples) / SAMPLE_RATE:.2f}"
        lines.append(
            "\t".join((name, label, attack, source, speaker, "-", str(SAMPLE_RATE), seconds, "made here"))
        )
    (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")


def _speech(split: str, size: int, rng: np.random.Generator) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Label, attack, speaker and (N,) samples of `size` clips of each label."""
    from training.espeak import Espeak  # loads a native library

    espeak = Espeak()
    for _ in range(size):
        voice = VOICES[split][rng.integers(len(VOICES[split]))]
        text = " ".join(TEXTS[at] for at in rng.choice(len(TEXTS), 2, replace=False))
        rate, pitch, spread, seed = (int(rng.integers(*span)) for span in SPEAKING)
        said = espeak.say(text, voice, rate, pitch, spread, seed)
        start = int(rng.integers(max(1, len(said) - int(LONGEST_S * SAMPLE_RATE))))
        yield "spoof", "espeak-ng", voice, said[start:][: int(rng.uniform(1.5, LONGEST_S) * SAMPLE_RATE)]
        speaker = 10 * list(SIZES).index(split) + int(rng.integers(6))
        yield "bonafide", "-", f"stand-in-{speaker}", standin.utter(rng.uniform(1.5, LONGEST_S), speaker, rng)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.sample", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT, help="folder to write")
    chosen = parser.parse_args(arguments)
    print(f"{make(chosen.out)} (smoke sample: no human voice, for trying the machinery only)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
