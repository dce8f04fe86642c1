"""Bytes of a clip -> bounded blocks of mono float32 at 16 kHz -> chunks of whole windows.

Training, export and serving decode through this module alone. Nothing here grows with the length of a clip,
except `load`, whose result is the clip.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import soundfile

from serving.chunking import Chunk, Samples, chunks, fit_window
from serving.containers import ACCEPTED, check_whole, goes_on, sniff, states_mp3_length
from serving.errors import (
    ClipError,
    Empty,
    Joined,
    NotAudio,
    NotFinite,
    Silent,
    TooLarge,
    TooLong,
    TooManyChannels,
    TooShort,
    Truncated,
    UnsupportedRate,
)
from serving.mono import SAMPLE_RATE, mean_of_channels, resampled
from serving.source import Source, open_source

__all__ = [
    "LOCAL",
    "SAMPLE_RATE",
    "Chunk",
    "ClipError",
    "ClipFacts",
    "ClipStream",
    "Limits",
    "Samples",
    "chunks",
    "fit_window",
    "load",
    "stream",
]

BLOCK_S = 10  # longest block
BLOCK_VALUES = 2**18  # most samples times channels in one read: 1 MiB of float32
SILENCE_PEAK = 10 ** (-80 / 20)  # -80 dBFS: below is dither at most
MAX_PEAK = 1e6  # float files may be scaled as 16 or 24 bit integers; beyond lies rubbish
MP3_TOLERANCE_FRAMES = 2 * 1152  # encoder delay and padding, two MPEG frames


@dataclass(frozen=True)
class Limits:
    """What a clip may be. The defaults are those of an upload; local files may be as large as they like."""

    max_bytes: int = 64 * 2**20
    min_s: float = 0.5
    max_s: float = 6 * 3600.0
    max_channels: int = 8
    min_rate_hz: int = 6_000
    max_rate_hz: int = 192_000
    # Samples times channels: 6 h of 48 kHz stereo. A few MB of FLAC can decode to 10 GB, which costs time.
    max_values: int = 6 * 3600 * 48_000 * 2


LOCAL = Limits(max_bytes=2**40)  # for files that the user names on a command line


@dataclass(frozen=True)
class ClipFacts:
    """What the header of a clip says."""

    container: str  # WAV, FLAC, OGG, MP3
    codec: str  # libsndfile's subtype, such as PCM_16 or OPUS
    original_rate_hz: int
    channels: int
    header_duration_s: float | None  # None where the header has no length


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """A SoundFile read from start to end.

    The base class seeks after each read: that costs time, restarts lossy decoders in mid-clip and fails at
    the end of a FLAC stream of unstated length.
    """

    def seekable(self) -> bool:
        return False


class ClipStream:
    """One pass over a clip: `facts` at once, blocks of mono float32 at 16 kHz when iterated.

    Iterating raises Truncated, TooLong, NotFinite as soon as they show, Joined, Empty, TooShort, Silent at
    the end.
    `total_samples` and `peak` hold what has been seen so far.
    """

    def __init__(self, source: Source, limits: Limits) -> None:
        self.limits = limits
        self.total_samples = 0
        self.peak = 0.0
        self._fd = open_source(source)
        try:
            self._file = self._open()
            self.facts = self._read_facts()
        except BaseException:
            self.close()
            raise

    def _open(self) -> _ForwardFile:
        size = os.fstat(self._fd).st_size
        if size > self.limits.max_bytes:
            raise TooLarge(f"The file has {size} bytes; at most {self.limits.max_bytes} are accepted.")
        self._container = sniff(self._fd)
        check_whole(self._fd, self._container)
        try:
            file = _ForwardFile(self._fd, closefd=False)
        except soundfile.LibsndfileError:
            raise NotAudio(
                f"The file starts like {self._container} but can't be decoded. Send {ACCEPTED}."
            ) from None
        found = {"WAVEX": "WAV", "RF64": "WAV", "MPEG": "MP3"}.get(file.format, file.format)
        if found != self._container:
            file.close()
            raise NotAudio(f"The file starts like {self._container} but is {found}. Send {ACCEPTED}.")
        return file

    def _read_facts(self) -> ClipFacts:
        file, limits = self._file, self.limits
        if not limits.min_rate_hz <= file.samplerate <= limits.max_rate_hz:
            raise UnsupportedRate(
                f"The sample rate is {file.samplerate} Hz; "
                f"{limits.min_rate_hz} to {limits.max_rate_hz} Hz are accepted."
            )
        if file.channels > limits.max_channels:
            raise TooManyChannels(
                f"The clip has {file.channels} channels; at most {limits.max_channels} are accepted."
            )
        known = 0 <= file.frames < 2**62  # libsndfile's "unknown" is 2**63 - 1
        if known:
            self._check_frames(file.frames)
        duration_s = file.frames / file.samplerate if known else None
        return ClipFacts(self._container, file.subtype, file.samplerate, file.channels, duration_s)

    def _check_frames(self, frames: int) -> None:
        limits, rate = self.limits, self._file.samplerate
        if frames > limits.max_s * rate or frames * self._file.channels > limits.max_values:
            most_s = min(limits.max_s, limits.max_values / self._file.channels / rate)
            raise TooLong(f"The clip is {frames / rate:.1f} s or longer; at most {most_s:g} s are accepted.")

    def __iter__(self) -> Iterator[Samples]:
        rate = self._file.samplerate
        blocks = self._mono_blocks() if rate == SAMPLE_RATE else resampled(self._mono_blocks(), rate)
        for block in blocks:
            if len(block):
                yield self._seen(block)
        self._check_whole_clip()

    def _mono_blocks(self) -> Iterator[Samples]:
        """(frames, channels) as stored -> (frames,), the mean of the channels, at the original rate."""
        file, frames = self._file, 0
        most = min(BLOCK_S * file.samplerate, BLOCK_VALUES // file.channels)
        # libFLAC takes what follows the stated end, a tag for instance, for damage: it is not asked for more.
        end = file.frames if self._container == "FLAC" and self.facts.header_duration_s else 2**62
        while frames < end:
            try:
                block = file.read(out=np.empty((min(most, end - frames), file.channels), np.float32))
            except soundfile.LibsndfileError:
                raise self._cut_after(frames) from None
            if not len(block):
                break
            frames += len(block)
            self._check_frames(frames)
            yield mean_of_channels(block)
        if frames < self._least_frames():
            raise self._cut_after(frames)
        if goes_on(self._fd, self._container, os.lseek(self._fd, 0, os.SEEK_CUR)):
            raise Joined(
                f"The recording ends after {frames / file.samplerate:.2f} s, yet more audio follows in the "
                "file: it is joined from several, or its header is wrong. Export it again as one recording."
            )

    def _least_frames(self) -> int:
        """Frames that a whole file has by its own header; 0 where the header doesn't say."""
        if self.facts.header_duration_s is None:
            return 0
        if self._container != "MP3":
            return int(self._file.frames)
        return int(self._file.frames) - MP3_TOLERANCE_FRAMES if states_mp3_length(self._fd) else 0

    def _cut_after(self, frames: int) -> Truncated:
        stated_s = self.facts.header_duration_s
        of = "" if stated_s is None else f" of {stated_s:.2f} s"
        return Truncated(
            f"Decoding stopped after {frames / self._file.samplerate:.2f} s{of}: "
            "the file is cut or damaged. Upload it again."
        )

    def _seen(self, block: Samples) -> Samples:
        peak = max(float(block.max()), -float(block.min()))  # NaN comes through max()
        if not peak <= MAX_PEAK:
            raise NotFinite(
                "The clip holds NaN, infinite or absurd samples "
                f"after {self.total_samples / SAMPLE_RATE:.1f} s. Export it again as 16 bit audio."
            )
        self.peak = max(self.peak, peak)
        self.total_samples += len(block)
        return block

    def _check_whole_clip(self) -> None:
        duration_s, least_s = self.total_samples / SAMPLE_RATE, self.limits.min_s
        if not self.total_samples:
            raise Empty("The file holds no samples. Record or export it again.")
        if duration_s < least_s:
            raise TooShort(f"The clip is {duration_s:.2f} s; at least {least_s:g} s are needed.")
        if self.peak < SILENCE_PEAK:
            raise Silent("The clip is silent throughout (peak below -80 dBFS). Check the recording.")

    def close(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> "ClipStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def stream(source: Source, limits: Limits = LOCAL) -> ClipStream:
    """Open a clip for one bounded pass. Close it, or use it in a `with`. Raises ClipError, OSError."""
    return ClipStream(source, limits)


def load(source: Source, limits: Limits = LOCAL) -> Samples:
    """The whole clip, (N,) float32 mono at 16 kHz: the blocks of `stream`. Raises ClipError, OSError."""
    with stream(source, limits) as clip:
        blocks = list(clip)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
