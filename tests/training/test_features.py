"""In-graph features equal their librosa references, and no frame looks beyond itself."""

import librosa
import numpy as np
import pytest
import torch

from training.features import LogMel, LogSpectrum, Mfcc, cut

TOLERANCE = 1e-4


@pytest.fixture
def speechlike() -> np.ndarray:
    rng = np.random.default_rng(7)
    time = np.arange(24_000) / 16_000
    voiced = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 20))
    return (0.1 * voiced * (1 + np.sin(2 * np.pi * 3 * time)) + 0.01 * rng.standard_normal(24_000)).astype(
        np.float32
    )


def test_log_mel_equals_librosa(speechlike: np.ndarray) -> None:
    mel = librosa.feature.melspectrogram(
        y=speechlike, sr=16_000, n_fft=400, hop_length=160, n_mels=80, pad_mode="reflect"
    )
    log = np.log10(np.maximum(mel, 1e-10))[:, :-1]
    expected = (np.maximum(log, log.max() - 8) - log.max()) / 4 + 1.25
    assert np.abs(LogMel()(torch.from_numpy(speechlike)[None])[0].numpy() - expected).max() < TOLERANCE


def test_mfcc_equals_librosa(speechlike: np.ndarray) -> None:
    mel = librosa.feature.melspectrogram(y=speechlike, sr=16_000, n_fft=512, hop_length=80, center=False)
    expected = librosa.feature.mfcc(S=librosa.power_to_db(mel, top_db=None), n_mfcc=13)
    ours = Mfcc()(torch.from_numpy(speechlike)[None])[0].numpy()
    assert np.abs(ours - expected).max() < 100 * TOLERANCE  # of values up to several hundred dB


def test_log_spectrum_equals_librosa(speechlike: np.ndarray) -> None:
    power = np.abs(librosa.stft(speechlike, n_fft=512, hop_length=160, center=False)) ** 2
    log = np.log(power[1:] + 1e-7)
    expected = (log - log.mean(axis=0)) / 3
    assert (
        np.abs(LogSpectrum()(torch.from_numpy(speechlike)[None])[0].numpy() - expected).max() < 10 * TOLERANCE
    )


def test_log_mel_does_not_change_with_level(speechlike: np.ndarray) -> None:
    loud, quiet = (LogMel()(torch.from_numpy(speechlike * gain)[None]) for gain in (1.0, 0.1))
    assert (loud - quiet).abs().max() < TOLERANCE


@pytest.mark.parametrize(("size", "hop"), [(400, 160), (512, 160), (512, 80), (7, 7), (9, 2)])
def test_cut_gives_every_whole_stretch(size: int, hop: int) -> None:
    signal = torch.arange(2000.0).reshape(2, 1000)
    expected = signal.unfold(1, size, hop)
    assert torch.equal(cut(signal, size, hop), expected)


@pytest.mark.parametrize("samples", [400, 401, 559, 560, 561])
def test_cut_counts_as_the_graph_contract_says(samples: int) -> None:
    assert cut(torch.zeros(1, samples), 400, 160).shape[1] == 1 + (samples - 400) // 160
