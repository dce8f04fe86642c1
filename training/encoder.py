"""Whisper's convolutions and first layers, base or tiny, with a frame and a window head: waveform -> spoof
logits.

Attention sees its whole window, so windows are cut inside the graph and an overlap would cost its share;
windows do not
overlap, and frames give the place. Weights start from Whisper's (training.whisper) and are fine-tuned.
"""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.features import LogMel, cut, levelled
from training.whisper import encoder_weights

BANDS = 80
HEAD_WIDTH = 64  # of attention, in every size
WIDTHS = {"base": 512, "tiny": 384}
SUMMED = 8  # tokens whose mean is taken first
MOST_MAGNIFIED = 300.0  # of a value by its scale: float32 then keeps scores to 1e-4


class Layer(nn.Module):
    """One pre-norm transformer layer, (M, T, width) -> (M, T, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        m, t, width = x.shape
        qkv = self.qkv(self.attention_norm(x)).reshape(m, t, 3, width // HEAD_WIDTH, HEAD_WIDTH)
        heads = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2])  # (M, heads, T, 64)
        x = x + self.out(mixed.transpose(1, 2).reshape(m, t, width))
        return x + self.down(functional.gelu(self.up(self.mlp_norm(x))))

    def load(self, weights: dict[str, np.ndarray], index: int) -> None:
        names = {
            self.attention_norm: "self_attention/layer_norm",
            self.mlp_norm: "ffn/layer_norm",
            self.qkv: "self_attention/linear_0",
            self.out: "self_attention/linear_1",
            self.up: "ffn/linear_0",
            self.down: "ffn/linear_1",
        }
        for module, name in names.items():
            kinds = ("gamma", "beta") if isinstance(module, nn.LayerNorm) else ("weight", "bias")
            for target, kind in zip((module.weight, module.bias), kinds, strict=True):
                target.data.copy_(torch.from_numpy(weights[f"layer_{index}/{name}/{kind}"]))


def halved(tokens: Tensor) -> Tensor:
    """(M, T, width) -> (M, T / 2, width): means of two neighbours."""
    m, t, width = tokens.shape
    return tokens.reshape(m, t // 2, 2, width).mean(dim=2)


class Trunk(nn.Module):
    """(M, 80, T) log-mel -> list of states: after the convolutions and after each layer.

    A state is (M, T/2, width), 50 tokens a second; from layer `full_rate` on (M, T/4, width): a layer's cost
    goes with its tokens.
    """

    def __init__(self, layers: int, tokens: int, full_rate: int, size: str) -> None:
        super().__init__()
        self.full_rate, self.size = full_rate, size
        width = WIDTHS[size]
        self.conv1 = nn.Conv1d(BANDS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.position = nn.Parameter(torch.zeros(tokens, width))
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))

    def forward(self, mel: Tensor) -> list[Tensor]:
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(mel)))).transpose(1, 2) + self.position
        states = [x]
        for index, layer in enumerate(self.layers):
            x = layer(halved(x) if index == self.full_rate else x)
            states.append(x)
        return states

    def load_pretrained(self) -> None:
        weights = encoder_weights(self.size)
        for conv, name in ((self.conv1, "conv1"), (self.conv2, "conv2")):
            conv.weight.data.copy_(torch.from_numpy(weights[f"{name}/weight"]))
            conv.bias.data.copy_(torch.from_numpy(weights[f"{name}/bias"]))
        self.position.data.copy_(
            torch.from_numpy(weights["position_encodings/encodings"][: len(self.position)])
        )
        for index, layer in enumerate(self.layers):
            layer.load(weights, index)


class Standardise(nn.Module):
    """Per dimension to mean 0 and deviation 1 by fixed statistics: a few of Whisper's dimensions are so
    large that they
    would drown the rest."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation

    def measure(self, x: Tensor, level: Tensor) -> None:
        """Take the statistics of x (n, width), which came from values of the size `level` (width,).

        Where a large value hardly varies, rounding errors would be magnified: the scale has a floor.
        """
        self.mean.copy_(x.mean(dim=0))
        self.deviation.copy_(torch.maximum(x.std(dim=0), level.abs() / MOST_MAGNIFIED) + 1e-4)


def over_time(tokens: Tensor) -> Tensor:
    """Mean (M, T, width) -> (M, width), T a multiple of SUMMED, by two products.

    onnxruntime sums a plain mean in an order that depends on M: a window's score would depend on how many are
    scored with it. Two short sums round less than a long one.
    """
    m, t, width = tokens.shape
    inner, outer = torch.full((1, SUMMED), 1 / SUMMED), torch.full((1, t // SUMMED), SUMMED / t)
    return (outer @ (inner @ tokens.reshape(m, t // SUMMED, SUMMED, width))[:, :, 0])[:, 0]


class Head(nn.Module):
    """States (M, T, width), T of each its own -> window logit (M,) from their means and deviations, frame
    logits (M, frames).
    """

    def __init__(self, width: int, frames: int, hidden: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.frames, self.width = frames, 2 * width  # frames a window; of the statistics
        self.statistics_scale, self.frame_scale = Standardise(2 * width), Standardise(width)
        self.window = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(2 * width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )
        self.frame = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(width, hidden // 2),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden // 2, 1),
        )

    def framed(self, states: list[Tensor]) -> Tensor:
        """(M, frames, width): means of each state's tokens in a frame."""
        return torch.cat(
            [x.reshape(x.shape[0], self.frames, -1, x.shape[2]).mean(dim=2) for x in states], dim=2
        )

    @staticmethod
    def statistics(states: list[Tensor]) -> Tensor:
        """(M, 2 width): means of all states, then their deviations."""
        means = [over_time(x) for x in states]
        spreads = [
            over_time((x - mean[:, None]) ** 2).clamp(min=1e-8).sqrt()
            for x, mean in zip(states, means, strict=True)
        ]
        return torch.cat([*means, *spreads], dim=1)

    def forward(self, states: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Window logits, frame logits, and the scaled statistics (M, 2 width) that the former come from."""
        statistics = self.statistics_scale(self.statistics(states))
        frame = self.frame(self.frame_scale(self.framed(states)))[:, :, 0]
        return self.window(statistics)[:, 0], frame, statistics


class EncoderNet(nn.Module):
    """(B, N) -> window logits (B, W) and frame logits (B, W * window / frame_hop); window == hop."""

    def __init__(
        self,
        window_samples: int,
        frame_hop_samples: int,
        layers: int = 2,
        full_rate: int = -1,
        size: str = "base",
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.window_samples, self.frame_hop_samples = window_samples, frame_hop_samples
        self.mel = LogMel()
        tokens = window_samples // (2 * self.mel.power.hop)
        self.trunk = Trunk(layers, tokens, full_rate, size)
        self.head = Head(WIDTHS[size] * (layers + 1), window_samples // frame_hop_samples, hidden)
        # The trunk's bfloat16 stand-in while it trains; in a tuple, which keeps it out of the state.
        self.stand_ins: tuple[Trunk, ...] = ()

    def mels(self, waveform: Tensor) -> Tensor:
        """(B, N) -> (B * W, 80, T), log-mel of each window by itself."""
        windows = cut(waveform, self.window_samples, self.window_samples)  # (B, W, window)
        mel: Tensor = self.mel(levelled(windows.reshape(-1, self.window_samples)))
        return mel

    def states(self, waveform: Tensor) -> list[Tensor]:
        """(B, N) -> the trunk's states of B * W windows."""
        mel = self.mels(waveform)
        if self.training and self.stand_ins:
            return [state.float() for state in self.stand_ins[0](mask(mel).bfloat16())]
        states: list[Tensor] = self.trunk(mel)
        return states

    def with_statistics(self, waveform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The logits, and what windows are judged by: (B, W, 2 width)."""
        batch = waveform.shape[0]
        window, frame, statistics = self.head(self.states(waveform))
        return (
            window.reshape(batch, -1),
            frame.reshape(batch, -1),
            statistics.reshape(batch, -1, statistics.shape[1]),
        )

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        window, frame, _ = self.with_statistics(waveform)
        return window, frame


class Half:
    """The trunk's bfloat16 stand-in for training: 4 times as fast on processors with AVX512-BF16, weights
    kept in float32.
    """

    def __init__(self, network: EncoderNet) -> None:
        self.full = network.trunk
        self.stand_in = copy.deepcopy(network.trunk).bfloat16()
        network.stand_ins = (self.stand_in,)

    def collect(self) -> None:
        """Gradients of the stand-in to the weights that the optimiser steps."""
        for full, half in zip(self.full.parameters(), self.stand_in.parameters(), strict=True):
            full.grad = None if half.grad is None else half.grad.float()
            half.grad = None

    @torch.no_grad()
    def refresh(self) -> None:
        """Stepped weights to the stand-in."""
        for full, half in zip(self.full.parameters(), self.stand_in.parameters(), strict=True):
            half.copy_(full)


def mask(features: Tensor, bands: int = 12, frames: int = 16) -> Tensor:
    """SpecAugment (Park et al. 2019): per clip one band of up to `bands` rows and one stretch of up to
    `frames` columns at the mean.
    """
    m, rows, columns = features.shape
    fill = features.mean(dim=(1, 2), keepdim=True)
    for size, limit, axis in ((rows, bands, 1), (columns, frames, 2)):
        width = torch.randint(0, limit + 1, (m, 1))
        start = (torch.rand(m, 1) * (size - width)).long()
        index = torch.arange(size)
        hidden = (index >= start) & (index < start + width)
        features = torch.where(hidden.unsqueeze(3 - axis), fill, features)
    return features
