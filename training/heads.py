"""States of a trunk -> window and frame logits: statistics on fixed scales, and two small networks."""

import torch
from torch import Tensor, nn

SUMMED = 8  # tokens whose mean is taken first
MOST_MAGNIFIED = 300.0  # of a value by its scale: float32 then keeps scores to 1e-4


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
