"""The small network: a residual CNN on the linear log spectrum, with no padding in time, so its trunk runs
once over a chunk.

Every output frame depends on its own receptive field alone and windows pool their own frames: a window's
score is the same
alone and inside any longer input, and overlap costs nothing.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.config import COLUMNS, FRAME_HOP
from training.encoder import mask
from training.features import LogSpectrum, Size, stretches
from training.machine import bfloat16_pays

FREQUENCY_PAD = (1, 0)  # time is never padded


class Shape(NamedTuple):
    widths: tuple[int, ...]  # channels after the stem and after each block
    time_strides: tuple[int, ...]  # of the blocks; with the stem's 2 they make a frame COLUMNS long


SHAPES = {
    "wide": Shape((16, 32, 48, 64, 96), (1, 2, 1, 1)),
    "slim": Shape((16, 16, 32, 48, 64), (2, 1, 1, 1)),
}


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut, (B, C, F, T) -> (B, D, F / stride, about T / time_stride)."""

    middle: Tensor  # (C, 1, 2, reach): what the shortcut hears, by a convolution of each channel alone

    def __init__(self, width_in: int, width: int, time_stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride=(2, time_stride), padding=FREQUENCY_PAD, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=FREQUENCY_PAD, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        # The mean of two rows in the middle of the columns that the two convolutions reach. Columns that are
        # cut off instead would leave onnxruntime's layout for convolutions, there and back in every block.
        side = 1 + time_stride
        middle = torch.zeros(width_in, 1, 2, 2 * side + 1)
        middle[..., side] = 0.5
        self.register_buffer("middle", middle, persistent=False)
        self.shortcut = nn.Conv2d(width_in, width, 1, bias=False)
        self.stride = (2, time_stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
        heard = functional.conv2d(x, self.middle, stride=self.stride, groups=len(self.middle))
        return functional.relu(y + self.shortcut(heard))


class ResCnn(nn.Module):
    """(B, N) -> window logits (B, W) and frame logits (B, F), side by side; windows are pooled from their
    frames.
    """

    def __init__(
        self,
        window_samples: int,
        hop_samples: int,
        width: str = "wide",
        hidden: int = 128,
        frame_hop_samples: int = FRAME_HOP,
    ) -> None:
        super().__init__()
        if width not in SHAPES:  # of an older run
            raise ValueError(f"A rescnn of width {width!r} is not known; expected {' or '.join(SHAPES)}.")
        widths, time_strides = SHAPES[width]
        self.spectrum = LogSpectrum(hop=frame_hop_samples // COLUMNS)
        self.frame_hop_samples = frame_hop_samples
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 5, stride=(2, 2), padding=(2, 0), bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        pairs = zip(widths[:-1], widths[1:], time_strides, strict=True)
        self.blocks = nn.Sequential(*(Residual(a, b, s) for a, b, s in pairs))
        for weights in (*self.stem.parameters(), *self.blocks.parameters()):
            if weights.dim() == 4:  # channels last in memory: training is a quarter faster
                weights.data = weights.data.contiguous(memory_format=torch.channels_last)
        rows = self.spectrum.power.n_fft // 4 >> len(time_strides)
        self.project = nn.Sequential(nn.Conv1d(widths[-1] * rows, hidden, 1), nn.GELU(), nn.Dropout(0.2))
        self.frame, self.attention = nn.Conv1d(hidden, 1, 1), nn.Conv1d(hidden, 1, 1)
        self.window = nn.Conv1d(2 * hidden, 1, 1)
        self.window_samples, self.hop_samples = window_samples, hop_samples
        self.masked = True  # whether training hides parts of the spectrum
        self.frames_per_window = self._count(window_samples)
        self.frames_per_hop = hop_samples // self.frame_hop_samples
        # At the edges, where the field would leave the input, the outermost frame is held.
        self.side = (window_samples // self.frame_hop_samples - self.frames_per_window) // 2

    def _count(self, samples: int) -> int:
        with torch.no_grad():
            was = self.training
            count = self.eval().embedding(torch.zeros(1, samples)).shape[2]
            self.train(was)
        return count

    def embedding(self, waveform: Tensor, coarse: bool = False, samples: int | None = None) -> Tensor:
        """(B, N) -> (B, hidden, F): what each frame is judged by; F are those whose field lies inside.

        `coarse` is in bfloat16, as in training; `samples` is N where it is known.
        """
        spectrum = self.spectrum(waveform, samples)
        if self.training and self.masked:
            spectrum = mask(spectrum, bands=5 * spectrum.shape[1] // 32, frames=20)
        # Convolutions alone train in bfloat16, twice as fast where it pays; the spectrum needs every bit.
        halved = (coarse or self.training) and bfloat16_pays(spectrum.device)
        with torch.autocast(spectrum.device.type, torch.bfloat16, enabled=halved):
            x = self.blocks(self.stem(spectrum[:, None]))
        return self.project(x.float().flatten(1, 2))

    def _pool(self, values: Tensor) -> Tensor:
        """(B, C, F) -> (B, C, W): sums over each window's own frames."""
        return (
            functional.avg_pool1d(values, self.frames_per_window, self.frames_per_hop)
            * self.frames_per_window
        )

    def forward(self, waveform: Tensor, samples: int | None = None) -> tuple[Tensor, Tensor]:
        """`samples` is N where every waveform is as long, as windows are."""
        embedding = self.embedding(waveform, samples=samples)
        return self.judged(embedding, waveform.shape[1] if samples is None else samples)

    def judged(self, x: Tensor, samples: Size) -> tuple[Tensor, Tensor]:
        """The embedding (B, hidden, F) of a waveform of so many samples -> its window and frame logits."""
        # Bounded exponent: the weights need no maximum over a window, which would differ from window to
        # window.
        weight = torch.exp(4 * torch.tanh(self.attention(x)))
        total = self._pool(weight)
        mean = self._pool(weight * x) / total
        deviation = (self._pool(weight * x * x) / total - mean * mean).clamp(min=1e-5).sqrt()
        # A tail just short of a hop has all the frames of one more window, but not all its samples.
        windows = stretches(samples, self.window_samples, self.hop_samples)
        frame = functional.pad(self.frame(x), (self.side, self.side), mode="replicate")
        return self.window(torch.cat([mean, deviation], dim=1))[:, 0, :windows], frame[:, 0]
