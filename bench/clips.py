"""Made signals that load a detector as speech does: voiced syllables, pauses, noise. No corpus is needed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 16_000
CODECS = {"wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III")}
LOOP_S = 60  # long recordings repeat a minute, each time at another level
TYPES = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg"}


def speech_like(seconds: float, seed: int = 0, rate: int = SAMPLE_RATE) -> np.ndarray:
    """(N,) float32: harmonics of a gliding pitch in syllables with pauses, over faint noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    pitch = 120 * (1 + 0.2 * np.sin(2 * np.pi * 0.3 * t) + 0.05 * np.sin(2 * np.pi * 2.1 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3.7 * t + np.sin(2 * np.pi * 0.23 * t)), 0, None)
    noise = rng.normal(0, 1, len(t))
    return (0.12 * voice * syllables + 0.02 * noise * (1 - syllables) + 0.002 * noise).astype(np.float32)


def write_long(path: Path, seconds: int) -> None:
    """A recording of any length, written minute by minute: memory stays small."""
    minute = speech_like(LOOP_S)
    container, codec = CODECS[path.suffix[1:]]
    rng = np.random.default_rng(1)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, format=container, subtype=codec) as file:
        for start in range(0, seconds, LOOP_S):
            file.write(minute[: (seconds - start) * SAMPLE_RATE] * rng.uniform(0.4, 1.0))


@dataclass(frozen=True)
class Clips:
    """Clips in a folder, made when first asked for."""

    folder: Path

    def path(self, container: str, seconds: int = 10, rate: int = SAMPLE_RATE) -> Path:
        """One clip as a file; above a minute it repeats (16 kHz only)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{seconds}s-{rate}.{container}"
        if path.exists():
            return path
        partial = path.with_name(f"partial-{path.name}")
        if seconds > LOOP_S:
            write_long(partial, seconds)
        else:
            form, codec = CODECS[container]
            soundfile.write(partial, speech_like(seconds, rate=rate), rate, format=form, subtype=codec)
        return partial.rename(path)

    def content(self, container: str, seconds: int = 10, rate: int = SAMPLE_RATE) -> bytes:
        return self.path(container, seconds, rate).read_bytes()
