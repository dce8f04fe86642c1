"""Waveform (B, N) -> features (B, bands, T), in operators that export to ONNX; no state, no look beyond the
frames.

The DFT is a product with a fixed matrix. Frames are cut as shifted blocks, without a gather, and a symmetric
window lets the samples fold about the frame's middle: half the products of a plain DFT matrix. The half that
is read backwards is cut from the signal backwards: onnxruntime reverses rows fast, what is in them slowly.
"""

import librosa
import numpy as np
import torch
from torch import Tensor, nn

from serving.audio import SAMPLE_RATE

Size = int | Tensor  # a number, or while a graph is traced a shape's, which it works out for every clip


def stretches(samples: Size, size: int, hop: int) -> Size:
    """How many stretches of `size`, one every `hop`, lie in so many samples."""
    if isinstance(samples, Tensor):
        return torch.div(samples - size, hop, rounding_mode="floor") + 1
    return (samples - size) // hop + 1


def cut(signal: Tensor, size: int, hop: int, samples: Size | None = None) -> Tensor:
    """(B, N) -> (B, 1 + (N - size) // hop, size): overlapping stretches as concatenated blocks of `hop`
    samples. `samples` is N where it is known.
    """
    parts = -(-size // hop)
    count = stretches(signal.shape[1] if samples is None else samples, size, hop)
    # The last stretch may end inside a block; zeros fill that block and are cut off below.
    blocks = nn.functional.pad(signal, (0, parts * hop - size))[:, : (count + parts - 1) * hop]
    blocks = blocks.reshape(signal.shape[0], -1, hop)
    return torch.cat([blocks[:, i : i + count] for i in range(parts)], dim=2)[:, :, :size]


PEAK = 0.5  # of a levelled window
QUIETEST = 1e-4  # peak, -80 dBFS: what is silent stays so


def levelled(windows: Tensor) -> Tensor:
    """(M, N) -> each window at one peak level: spectral floors lie alike under loud and quiet speech."""
    return windows * (PEAK / windows.abs().amax(dim=1, keepdim=True).clamp(min=QUIETEST))


class PowerSpectrum(nn.Module):
    """(B, N) -> (B, T, n_fft // 2), |DFT|^2 of Hann-windowed frames from bin 1 on, as no feature hears the
    offset; T = 1 + (N - n_fft) // hop, no padding.
    """

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        half = n_fft // 2
        window = np.hanning(n_fft + 1)[
            :-1
        ]  # periodic, so w[n] = w[n_fft - n] and the first sample has weight 0
        window[half] /= 2  # the middle is in both halves
        phase = 2 * np.pi * np.outer(np.arange(n_fft), np.arange(1, half + 1)) / n_fft
        for name, wave in (("cosine", np.cos(phase)), ("sine", np.sin(phase))):
            part = torch.tensor((window[:, None] * wave)[1 : half + 1], dtype=torch.float32)
            self.register_buffer(name, part, persistent=False)

    def forward(self, signal: Tensor, samples: Size | None = None) -> Tensor:
        """`samples` is N where every signal is as long: a graph then works out no sizes clip by clip."""
        samples, half = signal.shape[1] if samples is None else samples, self.n_fft // 2
        count = stretches(samples, self.n_fft, self.hop)
        # Each frame from its second sample to its middle, and from its last to its middle.
        left = cut(signal[:, 1 : samples - half + 1], half, self.hop, samples - half)
        past = samples - self.n_fft - (count - 1) * self.hop  # samples after the last frame
        right = cut(signal.flip(1)[:, past : samples - half], half, self.hop, samples - half - past).flip(1)
        real, imaginary = (left + right) @ self.cosine, (left - right) @ self.sine
        return real * real + imaginary * imaginary


class LogMel(nn.Module):
    """(B, N) -> (B, bands, T) log10 mel over 8 decades below the loudest band of the stretch: level does not
    matter.

    Frames as Whisper's (Radford et al. 2022): 25 ms every 10 ms, centred with reflection at the ends, Slaney
    mel to 8 kHz; the
    scale puts the loudest value at 1.25, near where Whisper's own scale puts speech. As `PowerSpectrum`,
    `samples` is N where it is known.
    """

    def __init__(self, bands: int = 80, n_fft: int = 400, hop: int = 160) -> None:
        super().__init__()
        self.power = PowerSpectrum(n_fft, hop)
        filters = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=n_fft, n_mels=bands)  # (bands, bins); 0 at bin 0
        self.register_buffer("filters", torch.tensor(filters.T[1:], dtype=torch.float32), persistent=False)

    def forward(self, signal: Tensor, samples: int | None = None) -> Tensor:
        side = self.power.n_fft // 2
        padded = nn.functional.pad(signal[:, None], (side, side), mode="reflect")[:, 0]
        power = self.power(padded, samples and samples + 2 * side)
        mel = (power[:, :-1] @ self.filters).clamp(min=1e-10).log10()
        # The loudest value per stretch, not per batch: a score must not depend on its neighbours.
        peak = mel.amax(dim=(1, 2), keepdim=True)
        return ((torch.maximum(mel, peak - 8) - peak) / 4 + 1.25).transpose(1, 2)


class LogSpectrum(nn.Module):
    """(B, N) -> (B, bins, T) natural-log power on a linear frequency axis to 8 kHz, each frame less its mean
    over frequency. As `PowerSpectrum`, `samples` is N where it is known.
    """

    def __init__(self, n_fft: int = 512, hop: int = 160) -> None:
        super().__init__()
        self.power = PowerSpectrum(n_fft, hop)

    def forward(self, signal: Tensor, samples: int | None = None) -> Tensor:
        log = torch.log(self.power(signal, samples) + 1e-7)
        return (log - log.mean(dim=2, keepdim=True)).transpose(1, 2) / 3


class Mfcc(nn.Module):
    """(B, N) -> (B, coefficients, T), equal to librosa.feature.mfcc(center=False, power_to_db without
    top_db).
    """

    def __init__(self, coefficients: int = 13, bands: int = 128, n_fft: int = 512, hop: int = 80) -> None:
        super().__init__()
        self.power = PowerSpectrum(n_fft, hop)
        filters = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=n_fft, n_mels=bands)  # 0 at bin 0
        n = np.arange(bands)
        dct = np.cos(np.pi * np.outer(np.arange(coefficients), 2 * n + 1) / (2 * bands)) * np.sqrt(2 / bands)
        dct[0] /= np.sqrt(2)
        self.register_buffer("filters", torch.tensor(filters.T[1:], dtype=torch.float32), persistent=False)
        self.register_buffer("dct", torch.tensor(dct.T, dtype=torch.float32), persistent=False)

    def forward(self, signal: Tensor) -> Tensor:
        decibels = 10 * (self.power(signal) @ self.filters).clamp(min=1e-10).log10()
        return (decibels @ self.dct).transpose(1, 2)
