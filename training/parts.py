"""What heads are made of: fixed scales, small networks from values to hidden units to a logit, and sizes."""

import torch
from torch import Tensor, nn

MOST_MAGNIFIED = 100.0  # of a value by its scale: float32 then keeps scores to 1e-4
HIDDEN = 3  # modules of a part that lead to its hidden units: dropout, a linear layer, GELU
DROPPED = 0.3


def sizes(tokens: Tensor) -> tuple[int, int]:
    """T and width of tokens (M, T, width), as numbers: a traced graph would compute them for every clip."""
    return int(tokens.shape[1]), int(tokens.shape[2])


def perceptron(inputs: int, units: int) -> nn.Sequential:
    """Values (..., inputs) -> hidden units -> logit (..., 1)."""
    return nn.Sequential(
        nn.Dropout(DROPPED), nn.Linear(inputs, units), nn.GELU(), nn.Dropout(DROPPED), nn.Linear(units, 1)
    )


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
