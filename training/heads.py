"""States of a trunk -> window and frame logits: statistics on fixed scales, and two small networks."""

import torch
from torch import Tensor, nn
from torch.nn import functional

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


def over_time(tokens: Tensor) -> Tensor:
    """Mean (M, T, width) -> (M, width), T a multiple of SUMMED, by two products.

    onnxruntime sums a plain mean in an order that depends on M: a window's score would depend on how many are
    scored with it. Two short sums round less than a long one.
    """
    m, t, width = tokens.shape
    inner, outer = torch.full((1, SUMMED), 1 / SUMMED), torch.full((1, t // SUMMED), SUMMED / t)
    return (outer @ (inner @ tokens.reshape(m, t // SUMMED, SUMMED, width))[:, :, 0])[:, 0]


def spread(tokens: Tensor) -> Tensor:
    """Root mean square over time, at least 1e-4: (M, T, width) -> (M, width)."""
    return over_time(tokens**2).clamp(min=1e-8).sqrt()


class Head(nn.Module):
    """States (M, T, width), T of each its own -> window logit (M,) from `statistics` figures of each
    dimension, frame logits (M, frames).
    """

    def __init__(
        self, width: int, frames: int, hidden: int, statistics: int = 2, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.frames, self.figures = frames, statistics  # frames a window; figures a dimension
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

    def statistics(self, states: list[Tensor]) -> Tensor:
        """(M, statistics * width): means of all states, then their deviations, then, of three, the sizes of
        their steps from token to token: a synthesiser's states move otherwise, whatever their level.
        """
        means = [over_time(x) for x in states]
        found = means + [spread(x - mean[:, None]) for x, mean in zip(states, means, strict=True)]
        if self.figures > 2:
            # One step fewer than tokens; a step of nothing keeps their number a multiple of SUMMED.
            found += [spread(functional.pad(x[:, 1:] - x[:, :-1], (0, 0, 0, 1))) for x in states]
        return torch.cat(found, dim=1)

    def forward(self, states: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Window logits, frame logits, and the scaled statistics (M, width) that the former come from."""
        statistics = self.statistics_scale(self.statistics(states))
        frame = self.frame(self.frame_scale(self.framed(states)))[:, :, 0]
        return self.window(statistics)[:, 0], frame, statistics
