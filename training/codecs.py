"""Waveform through a lossy codec and back, in memory (PyAV): the channel that a clip has been through before
anyone asks about it.

`transcode(waveform, "mp3", bitrate=64_000)`: (N,) float32 at 16 kHz -> (N,) float32 at 16 kHz, aligned to
within a codec frame.
"""

import io
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import soxr

from serving.audio import SAMPLE_RATE


@dataclass(frozen=True)
class Codec:
    encoder: str  # ffmpeg's name
    container: str
    rate_hz: int  # the rate that the encoder works at
    bitrates: tuple[int, ...]  # bit/s; empty where the codec has one rate
    sample_format: str


CODECS = {
    "mp3": Codec("libmp3lame", "mp3", 16_000, (24_000, 32_000, 48_000, 64_000, 96_000, 128_000), "s16p"),
    "aac": Codec("aac", "adts", 16_000, (24_000, 32_000, 48_000, 64_000, 96_000), "fltp"),
    "opus": Codec("libopus", "ogg", 48_000, (12_000, 16_000, 24_000, 32_000, 48_000), "s16"),
    "g722": Codec("g722", "wav", 16_000, (), "s16"),
    "ulaw": Codec("pcm_mulaw", "wav", 8_000, (), "s16"),
    "alaw": Codec("pcm_alaw", "wav", 8_000, (), "s16"),
}


def _encode(samples: np.ndarray, codec: Codec, bitrate: int | None) -> io.BytesIO:
    """(N,) float32 at the codec's rate -> a container in memory."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=codec.container) as out:
        stream: Any = out.add_stream(
            codec.encoder, rate=codec.rate_hz, layout="mono", format=codec.sample_format
        )
        if bitrate:
            stream.bit_rate = bitrate
        integers = codec.sample_format.startswith("s16")
        data = (np.clip(samples, -1, 1) * 32767).astype(np.int16) if integers else samples.astype(np.float32)
        frame = av.AudioFrame.from_ndarray(data[None], format=codec.sample_format, layout="mono")
        frame.sample_rate = codec.rate_hz
        for part in (frame, None):
            out.mux(stream.encode(part))
    buffer.seek(0)
    return buffer


def _decode(buffer: io.BytesIO, codec: Codec) -> np.ndarray:
    """-> (M,) float32 at the codec's rate."""
    with av.open(buffer, format=codec.container.replace("adts", "aac")) as source:
        to_float = av.AudioResampler(format="flt", layout="mono", rate=codec.rate_hz)
        parts = [f.to_ndarray()[0] for frame in source.decode(audio=0) for f in to_float.resample(frame)]
        parts += [f.to_ndarray()[0] for f in to_float.resample(None)]
    return np.concatenate(parts)


def _delay(reference: np.ndarray, delayed: np.ndarray, limit: int) -> int:
    """Samples by which an encoder shifted the signal, 0 to limit, by cross-correlation."""
    size = 1 << int(np.ceil(np.log2(len(reference) + len(delayed))))
    correlation = np.fft.irfft(np.fft.rfft(delayed, size) * np.conj(np.fft.rfft(reference, size)), size)
    return int(np.argmax(correlation[:limit]))


def transcode(waveform: np.ndarray, name: str, bitrate: int | None = None) -> np.ndarray:
    """(N,) at 16 kHz -> (N,) at 16 kHz through the codec `name` of CODECS; bitrate in bit/s, its lowest by
    default.
    """
    codec = CODECS[name]
    rate = bitrate or (codec.bitrates[0] if codec.bitrates else None)
    source = waveform if codec.rate_hz == SAMPLE_RATE else soxr.resample(waveform, SAMPLE_RATE, codec.rate_hz)
    decoded = _decode(_encode(source, codec, rate), codec)
    if codec.rate_hz != SAMPLE_RATE:
        decoded = soxr.resample(decoded, codec.rate_hz, SAMPLE_RATE)
    decoded = decoded[_delay(waveform, decoded, limit=4096) :][: len(waveform)]
    return np.pad(decoded, (0, len(waveform) - len(decoded))).astype(np.float32)
