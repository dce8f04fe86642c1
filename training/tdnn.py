"""How tokens follow one another: convolutions over time, and statistics of what stands out there.

A window's own statistics know how far states spread and step; which of them come together, and in what order,
they do not. So a small time-delay network (Peddinti et al. 2015) with attentive statistics pooling (Okabe et
al. 2018) listens beside them, for a tenth of the network's time.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.parts import Standardise, perceptron, sizes

BLOCKS = 4  # each hears twice as far as the one before
POOLS = 8  # ways of attending to a window
ATTENTION, UNITS = 64, 256
HIDDEN_INPUTS, DROPPED = 0.3, 0.1


def normed(norm: nn.BatchNorm1d, tokens: Tensor) -> Tensor:
    """(M, T, C), each channel normalised."""
    t, channels = sizes(tokens)
    found: Tensor = norm(tokens.flatten(0, 1))
    return found.reshape(-1, t, channels)


class Block(nn.Module):
    """What a token and its two neighbours at a distance say, added to it: (M, T, C) -> (M, T, C)."""

    def __init__(self, channels: int, distance: int) -> None:
        super().__init__()
        self.distance = distance
        self.norm = nn.BatchNorm1d(channels)
        self.near = nn.Parameter(torch.empty(3, channels).uniform_(-1, 1) / 3**0.5)
        self.shift = nn.Parameter(torch.zeros(channels))
        self.up, self.down = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, channels)
        self.dropout = nn.Dropout(DROPPED)

    def forward(self, x: Tensor) -> Tensor:
        t, _ = sizes(x)
        padded = functional.pad(normed(self.norm, x), (0, 0, self.distance, self.distance))
        each = (padded[:, at * self.distance : at * self.distance + t] * self.near[at] for at in range(3))
        return x + self.down(self.dropout(functional.gelu(self.up(sum(each, self.shift)))))


class Tdnn(nn.Module):
    """The first states of a trunk, (M, T, width) each, all of T tokens -> statistics of its own (M, S), which
    `window` judges by `units` hidden units.
    """

    def __init__(self, stages: int, width: int, channels: int) -> None:
        super().__init__()
        self.stages, self.width, self.units = stages, width, UNITS
        self.input = nn.Linear(stages * width, channels)
        self.blocks = nn.ModuleList(Block(channels, 2**index) for index in range(BLOCKS))
        self.norm = nn.BatchNorm1d(channels)
        self.attention = nn.Sequential(nn.Linear(channels, ATTENTION), nn.Tanh(), nn.Linear(ATTENTION, POOLS))
        self.pooled_norm = nn.BatchNorm1d(2 * POOLS * channels)
        self.window = perceptron(2 * POOLS * channels, UNITS)

    def forward(self, states: list[Tensor], scale: Standardise) -> Tensor:
        """`scale` is that of single tokens, of these states first. In training some of their values are
        hidden, the same from all windows of a batch.
        """
        x = self._channels(states, scale)
        for block in self.blocks:
            x = block(x)
        x = normed(self.norm, x)
        share = self.attention(x).transpose(1, 2).softmax(dim=2)  # (M, POOLS, T)
        mean = share @ x
        deviation = (share @ (x * x) - mean * mean).clamp(min=1e-5).sqrt()
        pooled = torch.cat([mean, deviation], dim=2).flatten(1)
        found: Tensor = self.pooled_norm(pooled)
        return found

    def _channels(self, states: list[Tensor], scale: Standardise) -> Tensor:
        """Standardised states -> (M, T, C): deviations go into the weights, means, which are many times as
        large in some of Whisper's dimensions, off the states.
        """
        weight = self.input.weight / scale.deviation[: self.stages * self.width]
        if self.training:
            weight = functional.dropout(torch.ones_like(weight[:1]), HIDDEN_INPUTS) * weight
        x: Tensor = self.input.bias
        for index, state in enumerate(states[: self.stages]):
            told = slice(index * self.width, (index + 1) * self.width)
            x = x + functional.linear(state - scale.mean[told], weight[:, told])
        return x
