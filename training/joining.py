"""Clips -> splices with known spans: a second of fake in real speech, of real in fake, and controls.

Hosts and inserts are matched in level and joined by short cross-fades, so that neither a jump nor a click is
evidence; controls are cut and joined in the same way, so that a cut is none either.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.audio import SAMPLE_RATE
from training.datasets import Clip
from training.localisation import Span

Samples = NDArray[np.float32]
Load = Callable[[Clip], Samples]

FADE_SAMPLES = SAMPLE_RATE // 100  # 10 ms
INSERT_SAMPLES = SAMPLE_RATE  # 1 s
HOST_S = (3.0, 10.0)  # length of the host before the insert
QUIETEST_DB = -50  # below the loudest part of a clip, does not count for its level
# host label, insert label
KINDS = {
    "fake in real": ("bonafide", "spoof"),
    "real in fake": ("spoof", "bonafide"),
    "real in real": ("bonafide", "bonafide"),
    "fake in fake": ("spoof", "spoof"),
}


@dataclass(frozen=True)
class Splice:
    """A clip that was put together, and where it is spoof."""

    kind: str  # of KINDS
    samples: Samples  # (N,) at 16 kHz
    spoof: tuple[Span, ...]  # seconds, edges in the middle of the cross-fades
    insert: Span
    clips: tuple[str, ...]  # paths of what it is made of, host first

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def splice(kind: str, clips: Sequence[Clip], load: Load, rng: np.random.Generator) -> Splice:
    """One splice of this kind. Raises ValueError where a label has no clip of a second and its fades."""
    host_label, insert_label = KINDS[kind]
    hosts = [clip for clip in clips if clip.label == host_label]
    inserts = [clip for clip in clips if clip.label == insert_label]
    insert, inserted = _insert(inserts, load, rng)
    host, made_of = _host([clip for clip in hosts if str(clip.path) != inserted], load, rng)
    insert = insert * np.float32(level(host) / max(level(insert), 1e-6))
    at = int(rng.integers(FADE_SAMPLES, len(host) - FADE_SAMPLES))
    samples = joined([host[: at + FADE_SAMPLES], insert, host[at:]])
    start_s = (at + FADE_SAMPLES / 2) / SAMPLE_RATE
    span = (start_s, start_s + (len(insert) - FADE_SAMPLES) / SAMPLE_RATE)
    spoof = _spoof(kind, span, len(samples) / SAMPLE_RATE)
    return Splice(kind, np.clip(samples, -1, 1), spoof, span, (*made_of, inserted))


def joined(parts: Sequence[Samples]) -> Samples:
    """Parts one after the other, overlapping by a cross-fade of equal power, which shortens the whole."""
    whole = parts[0]
    ramp = np.sin(np.linspace(0, np.pi / 2, FADE_SAMPLES, dtype=np.float32))
    for part in parts[1:]:
        mixed = whole[-FADE_SAMPLES:] * ramp[::-1] + part[:FADE_SAMPLES] * ramp
        whole = np.concatenate([whole[:-FADE_SAMPLES], mixed, part[FADE_SAMPLES:]])
    return whole


def level(samples: Samples) -> float:
    """RMS of the 20 ms blocks that are not silent beside the loudest one."""
    block = SAMPLE_RATE // 50
    count = max(1, len(samples) // block)
    powers = np.square(np.resize(samples, (count, block)), dtype=np.float64).mean(axis=1)
    return float(np.sqrt(powers[powers >= powers.max() * 10 ** (QUIETEST_DB / 10)].mean()))


def _host(clips: Sequence[Clip], load: Load, rng: np.random.Generator) -> tuple[Samples, tuple[str, ...]]:
    """Speech of up to 10 s from one source, one speaker and generator as far as they go, matched in level."""
    wanted = int(rng.uniform(*HOST_S) * SAMPLE_RATE)
    if not clips:
        raise ValueError("There is no clip for a host; expected some of each label. Use a larger protocol.")
    first = clips[int(rng.integers(len(clips)))]
    same = [clip for clip in clips if clip.source == first.source and clip != first]
    order = [same[at] for at in rng.permutation(len(same))]
    order.sort(key=lambda clip: (clip.speaker != first.speaker) + (clip.attack != first.attack))
    host, made_of = load(first), [str(first.path)]
    for clip in order:
        if len(host) >= wanted:
            break
        part = load(clip)
        if len(part) > 2 * FADE_SAMPLES:
            host = joined([host, part * np.float32(level(host) / max(level(part), 1e-6))])
            made_of.append(str(clip.path))
    return host[:wanted], tuple(made_of)


def _insert(clips: Sequence[Clip], load: Load, rng: np.random.Generator) -> tuple[Samples, str]:
    """A second of some clip, fades added on both sides."""
    length = INSERT_SAMPLES + FADE_SAMPLES
    for at in rng.permutation(len(clips)):
        samples = load(clips[at])
        if len(samples) >= length:
            start = int(rng.integers(len(samples) - length + 1))
            return samples[start : start + length], str(clips[at].path)
    raise ValueError(
        f"Of {len(clips)} clips none is {length / SAMPLE_RATE:.2f} s long. Use a larger protocol."
    )


def _spoof(kind: str, span: Span, duration_s: float) -> tuple[Span, ...]:
    return {
        "fake in real": (span,),
        "real in fake": ((0.0, span[0]), (span[1], duration_s)),
        "real in real": (),
        "fake in fake": ((0.0, duration_s),),
    }[kind]
