"""States of a trunk -> window and frame logits: statistics on fixed scales, and two small networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

HIDDEN = 3  # modules of a part that lead to its hidden units: dropout, a linear layer, GELU
SUMMED = 8  # tokens whose mean is taken first
MOST_MAGNIFIED = 100.0  # of a value by its scale: float32 then keeps scores to 1e-4


class Standardise(nn.Module):
    """Per dimension to mean 0 and deviation 1 by fixed statistics: a few of Whisper's dimensions are so
    large that they would drown the rest."""

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
        size = torch.maximum(level.abs(), self.mean.abs())
        self.deviation.copy_(torch.maximum(x.std(dim=0), size / MOST_MAGNIFIED) + 1e-4)


def sizes(tokens: Tensor) -> tuple[int, int]:
    """T and width of tokens (M, T, width), as numbers: a traced graph would compute them for every clip."""
    return int(tokens.shape[1]), int(tokens.shape[2])


def over_time(tokens: Tensor) -> Tensor:
    """Mean (M, T, width) -> (M, width), T a multiple of SUMMED, by two products.

    onnxruntime sums a plain mean in an order that depends on M: a window's score would depend on how many are
    scored with it. Two short sums round less than a long one.
    """
    t, width = sizes(tokens)
    inner = torch.full((1, SUMMED), 1 / SUMMED, device=tokens.device)
    outer = torch.full((1, t // SUMMED), SUMMED / t, device=tokens.device)
    return (outer @ (inner @ tokens.reshape(-1, t // SUMMED, SUMMED, width))[:, :, 0])[:, 0]


def spread(tokens: Tensor, missing: int = 0) -> Tensor:
    """Root mean square over time, as of so many zeros more, at least 1e-4: (M, T, width) -> (M, width).

    A product by itself takes half the time of a power of 2, and squares need no short sums: none cancels
    another.
    """
    t, _ = sizes(tokens)
    mean = torch.full((1, t), 1 / (t + missing), device=tokens.device) @ (tokens * tokens)
    return mean[:, 0].clamp(min=1e-8).sqrt()


def in_parts(tokens: Tensor, count: int) -> Tensor:
    """(M, T, width) -> (M, count, width): means of T / count neighbours."""
    t, width = sizes(tokens)
    return tokens if t == count else tokens.reshape(-1, count, t // count, width).mean(dim=2)


class Head(nn.Module):
    """States (M, T, width), T of each its own -> window logit (M,) from `statistics` figures of each
    dimension, frame logits (M, frames).
    """

    def __init__(
        self,
        width: int,
        frames: int,
        hidden: int,
        statistics: int = 2,
        frame_units: int = 0,
        dropout: float = 0.3,
    ) -> None:
        """`frame_units` are those of the frame part, 0 for half of `hidden`, those of the window part."""
        super().__init__()
        self.frames, self.figures = frames, statistics  # frames a window; figures a dimension
        self.units, self.frame_units = hidden, frame_units or hidden // 2
        self.width = statistics * width  # of the statistics
        self.statistics_scale, self.frame_scale = Standardise(self.width), Standardise(width)
        self.window = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(self.width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )
        self.frame = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(width, self.frame_units),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(self.frame_units, 1),
        )

    def framed(self, states: list[Tensor]) -> Tensor:
        """(M, frames, width): means of each state's tokens in a frame."""
        return torch.cat([in_parts(x, self.frames) for x in states], dim=2)

    def statistics(self, states: list[Tensor]) -> Tensor:
        """(M, statistics * width): means of all states, then their deviations, then, of three, the sizes of
        their steps from token to token: a synthesiser's states move otherwise, whatever their level.
        """
        means = [over_time(x) for x in states]
        found = means + [spread(x - mean[:, None]) for x, mean in zip(states, means, strict=True)]
        if self.figures > 2:
            found += [spread(x[:, 1:] - x[:, :-1], missing=1) for x in states]  # a step fewer than tokens
        return torch.cat(found, dim=1)

    def forward(self, states: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Window logits, frame logits, and the scaled statistics (M, width) that the former come from."""
        statistics = self.statistics_scale(self.statistics(states))
        frame = self.frame(self.frame_scale(self.framed(states)))[:, :, 0]
        return self.window(statistics)[:, 0], frame, statistics

    def hidden(self, states: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Hidden units of windows (M, hidden) and of frames (M, frames, frame_units)."""
        window = self.window[:HIDDEN](self.statistics_scale(self.statistics(states)))
        return window, self.frame[:HIDDEN](self.frame_scale(self.framed(states)))

    def judged(self, window: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden units -> window logits (M,) and frame logits (M, frames)."""
        return self.window[HIDDEN:](window)[:, 0], self.frame[HIDDEN:](frame)[:, :, 0]

    @torch.no_grad()
    def stack(self, heads: Sequence[Head]) -> None:
        """Hold the hidden units of these heads one after another, in place: the logits are the means of what
        they say of the same states.

        The scales stay as they are. A head that is told fewer statistics, or of fewer states, is deaf to the
        rest; of one that is told more, what this one is not told is left out.
        """
        windows = [(head.window, head.statistics_scale, *_places(head, self)) for head in heads]
        stacked(self.window, windows, self.statistics_scale)
        both = [torch.arange(min(one.width // one.figures for one in (head, self))) for head in heads]
        frames = [(head.frame, head.frame_scale, own, own) for head, own in zip(heads, both, strict=True)]
        stacked(self.frame, frames, self.frame_scale)


def _places(head: Head, whole: Head) -> tuple[Tensor, Tensor]:
    """What both are told, as places among a head's statistics and among the whole's: figure by figure, the
    lower states first.
    """
    own, all_ = (one.width // one.figures for one in (head, whole))
    figures = torch.arange(min(head.figures, whole.figures))[:, None]
    both = torch.arange(min(own, all_))
    return (figures * own + both).flatten(), (figures * all_ + both).flatten()


def stacked(
    target: nn.Sequential,
    parts: list[tuple[nn.Sequential, Standardise, Tensor, Tensor]],
    scale: Standardise,
    shares: Sequence[float] = (),
) -> None:
    """The parts' hidden units one after another, their first layers fitted to one scale; of each with the
    places of what it brings along, among its own and among the target's. What they say is added by their
    `shares`, equal ones where none are given.
    """
    shares = shares or [1 / len(parts)] * len(parts)
    first, second = (layer for layer in target if isinstance(layer, nn.Linear))
    weights, biases, ends = [], [], []
    for part, own, brought, told in parts:
        down, up = (layer for layer in part if isinstance(layer, nn.Linear))
        known = down.weight[:, brought] / own.deviation[brought]
        weight = first.weight.new_zeros(down.out_features, first.in_features)
        weight[:, told] = known * scale.deviation[told]
        weights.append(weight)
        biases.append(down.bias + known @ (scale.mean[told] - own.mean[brought]))
        ends.append(up)
    first.weight.copy_(torch.cat(weights))
    first.bias.copy_(torch.cat(biases))
    said = list(zip(shares, ends, strict=True))
    second.weight.copy_(torch.cat([share * end.weight for share, end in said], dim=1))
    second.bias.copy_(torch.stack([share * end.bias for share, end in said]).sum(dim=0))
