"""Whisper's convolutions and first layers, base or tiny, with a frame and a window head: waveform -> spoof
logits.

Attention sees its whole window, so windows are cut inside the graph and an overlap would cost its share;
windows do not
overlap, and frames give the place. Weights start from Whisper's (training.whisper) and are fine-tuned.
"""

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.config import COLUMNS, FRAME_HOP, TrainingError
from training.features import LogMel, cut, levelled
from training.heads import Head, in_parts, sizes
from training.machine import bfloat16_pays
from training.whisper import encoder_weights

BANDS = 80
HEAD_WIDTH = 64  # of attention, in every size
WIDTHS = {"base": 512, "tiny": 384}


class Convolution(nn.Conv1d):
    """A centred convolution along time, (M, T, in) -> (M, T / stride, out), as a product of what each token
    hears: in 8 bits a product gives floats, where onnxruntime's convolution has to round its sums.
    """

    def forward(self, x: Tensor) -> Tensor:
        t, _ = sizes(x)
        (reach,), (stride,) = self.kernel_size, self.stride
        padded = functional.pad(x, (0, 0, reach // 2, reach // 2))
        heard = torch.cat([padded[:, at : at + t : stride] for at in range(reach)], dim=2)
        weight = self.weight.transpose(1, 2).reshape(self.out_channels, reach * self.in_channels)
        return functional.linear(heard, weight, self.bias)


class Projections(nn.Linear):
    """Queries, keys and values of tokens, (..., width) -> three of (..., inner), by a product each: to cut
    the output of one into three takes onnxruntime a third as long as the product.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        weights, biases = self.weight.chunk(3), self.bias.chunk(3)
        query, key, value = map(functional.linear, (x, x, x), weights, biases)
        return query, key, value


class Layer(nn.Module):
    """One pre-norm transformer layer, (M, T, width) -> (M, T, width)."""

    def __init__(self, width: int, heads: int, mlp: int) -> None:
        super().__init__()
        inner = heads * HEAD_WIDTH
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = Projections(width, 3 * inner), nn.Linear(inner, width)
        self.up, self.down = nn.Linear(width, mlp), nn.Linear(mlp, width)

    def forward(self, x: Tensor) -> Tensor:
        (t, _), inner = sizes(x), self.out.in_features
        query, key, value = (
            part.reshape(-1, t, inner // HEAD_WIDTH, HEAD_WIDTH).transpose(1, 2)  # (M, heads, T, 64)
            for part in self.qkv(self.attention_norm(x))
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, scale=HEAD_WIDTH**-0.5)
        x = x + self.out(mixed.transpose(1, 2).reshape(-1, t, inner))
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
    return in_parts(tokens, sizes(tokens)[0] // 2)


class Trunk(nn.Module):
    """(M, 80, T) log-mel -> list of states: after the convolutions and after each layer.

    A state is (M, T/2, width), 50 tokens a second; from layer `full_rate` on (M, T/4, width): a layer's cost
    goes with its tokens, and with its heads of attention and its MLP's units, of which 0 are Whisper's.
    """

    def __init__(
        self, layers: int, tokens: int, full_rate: int, size: str, heads: int = 0, mlp: int = 0
    ) -> None:
        super().__init__()
        self.full_rate, self.size = full_rate, size
        width = WIDTHS[size]
        self.heads, self.mlp = heads or width // HEAD_WIDTH, mlp or 4 * width
        self.narrow = bool(heads or mlp)
        self.conv1 = Convolution(BANDS, width, 3)
        self.conv2 = Convolution(width, width, 3, stride=2)
        self.position = nn.Parameter(torch.zeros(tokens, width))
        self.layers = nn.ModuleList(Layer(width, self.heads, self.mlp) for _ in range(layers))

    def convolved(self, mel: Tensor) -> Tensor:
        """(M, 80, T) -> (M, T/2, width), before positions."""
        return functional.gelu(self.conv2(functional.gelu(self.conv1(mel.transpose(1, 2)))))

    def forward(self, mel: Tensor) -> list[Tensor]:
        x = self.convolved(mel) + self.position
        states = [x]
        for index, layer in enumerate(self.layers):
            x = layer(halved(x) if index == self.full_rate else x)
            states.append(x)
        return states

    def first(self, stages: int) -> dict[str, nn.Parameter]:
        """Weights of the first stages, each of which makes a state: the convolutions with their positions,
        then the layers. Raises TrainingError where there are not as many.
        """
        parts = [("conv", "position"), *((f"layers.{index}.",) for index in range(len(self.layers)))]
        if not 0 <= stages <= len(parts):
            raise TrainingError(f"untuned is {stages}, expected 0 to {len(parts)} for this trunk.")
        names = tuple(name for part in parts[:stages] for name in part)
        return {name: weights for name, weights in self.named_parameters() if name.startswith(names)}

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


class Heard(NamedTuple):
    """What an encoder makes of waveforms (B, N) of W windows."""

    window: Tensor  # (B, W) logits
    frame: Tensor  # (B, F) logits
    statistics: Tensor  # (B, W, the head's width): what windows are judged by
    sound: Tensor  # (B, F, width): the frames before any attention, so that each is of its own time alone


class EncoderNet(nn.Module):
    """(B, N) -> window logits (B, W) and frame logits (B, W * window / frame_hop); window == hop."""

    def __init__(
        self,
        window_samples: int,
        frame_hop_samples: int = FRAME_HOP,
        layers: int = 2,
        full_rate: int = -1,
        size: str = "base",
        hidden: int = 256,
        statistics: int = 2,
        heads: int = 0,
        mlp: int = 0,
        frame_units: int = 0,
    ) -> None:
        super().__init__()
        self.window_samples, self.frame_hop_samples = window_samples, frame_hop_samples
        self.mel = LogMel(hop=frame_hop_samples // COLUMNS)
        tokens = window_samples // (2 * self.mel.power.hop)
        self.trunk = Trunk(layers, tokens, full_rate, size, heads, mlp)
        frames = window_samples // frame_hop_samples
        self.head = Head(WIDTHS[size] * (layers + 1), frames, hidden, statistics, frame_units)
        # Whether training hides parts of the log-mel: a trunk that is not tuned does not get used to it.
        self.masked = True
        # The trunk's bfloat16 stand-in while it trains; in a tuple, which keeps it out of the state.
        self.stand_ins: tuple[Trunk, ...] = ()

    def mels(self, waveform: Tensor) -> Tensor:
        """(B, N) -> (B * W, 80, T), log-mel of each window by itself."""
        windows = cut(waveform, self.window_samples, self.window_samples)  # (B, W, window)
        mel: Tensor = self.mel(levelled(windows.reshape(-1, self.window_samples)), self.window_samples)
        return mel

    def states(self, waveform: Tensor) -> list[Tensor]:
        """(B, N) -> the trunk's states of B * W windows."""
        mel = self.mels(waveform)
        if self.training and self.stand_ins:
            heard = mask(mel) if self.masked else mel
            return [state.float() for state in self.stand_ins[0](heard.bfloat16())]
        states: list[Tensor] = self.trunk(mel)
        return states

    def heard(self, waveform: Tensor) -> Heard:
        """The logits, and what they came from."""
        batch = waveform.shape[0]
        states = self.states(waveform)
        window, frame, statistics = self.head(states)
        return Heard(
            window.reshape(batch, -1),
            frame.reshape(batch, -1),
            statistics.reshape(batch, -1, statistics.shape[1]),
            self._sound(states[0] - self.trunk.position, batch),
        )

    def sound(self, waveform: Tensor) -> Tensor:
        """(B, N) -> (B, F, width), that of `heard` without the layers."""
        return self._sound(self.trunk.convolved(self.mels(waveform)), waveform.shape[0])

    def _sound(self, tokens: Tensor, batch: int) -> Tensor:
        """Of windows (M, T, width), M a multiple of the batch -> (batch, F, width), means over frames."""
        return self.head.framed([tokens]).reshape(batch, -1, tokens.shape[2])

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        heard = self.heard(waveform)
        return heard.window, heard.frame


class Half:
    """The trunk's bfloat16 stand-in for training: 4 times as fast on processors with AVX512-BF16, weights
    kept in float32.
    """

    @classmethod
    def where_it_pays(cls, network: EncoderNet) -> "Half | None":
        """None where products in bfloat16 would be the slower ones: the trunk then trains itself."""
        network.stand_ins = ()
        return cls(network) if bfloat16_pays(network.trunk.position.device) else None

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
        width = torch.randint(0, limit + 1, (m, 1), device=features.device)
        start = (torch.rand(m, 1, device=features.device) * (size - width)).long()
        index = torch.arange(size, device=features.device)
        hidden = (index >= start) & (index < start + width)
        features = torch.where(hidden.unsqueeze(3 - axis), fill, features)
    return features
