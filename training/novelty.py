"""Statistics of a window -> how unlike the training data it is, by a Gaussian whose small axes are alike.

The encoder's head was fitted where training data lie; far from there its score says little, however high.
"""

import torch
from torch import Tensor, nn

LIMIT_RATE = 0.01  # of dev's clips lie above 1


class Novelty(nn.Module):
    """(..., D) -> (...): Mahalanobis distance under probabilistic PCA (Tipping and Bishop 1999), squared and
    scaled: 1 is what LIMIT_RATE of dev's clips exceed."""

    mean: Tensor
    axes: Tensor
    variance: Tensor
    rest: Tensor
    scale: Tensor

    def __init__(self, width: int, components: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("axes", torch.zeros(width, components))  # orthonormal columns
        self.register_buffer("variance", torch.ones(components))  # along each
        self.register_buffer("rest", torch.ones(()))  # variance along every other direction
        self.register_buffer("scale", torch.ones(()))

    def forward(self, statistics: Tensor) -> Tensor:
        centred = statistics - self.mean
        along = (centred @ self.axes) ** 2
        # By Pythagoras: the way back along the axes would need them a second time in the file.
        beside = (centred**2).sum(dim=-1) - along.sum(dim=-1)
        return self.scale * ((along / self.variance).sum(dim=-1) + beside / self.rest)

    @torch.no_grad()
    def fit(self, statistics: Tensor) -> None:
        """Take mean, axes and variances from (n, D), n above D."""
        self.mean.copy_(statistics.mean(dim=0))
        centred = (statistics - self.mean).double()
        variance, axes = torch.linalg.eigh(centred.T @ centred / len(centred))  # rising
        count = len(self.variance)
        self.axes.copy_(axes[:, -count:].half())  # in which export stores it
        self.variance.copy_(variance[-count:])
        self.rest.copy_(variance[:-count].mean())

    @torch.no_grad()
    def scale_to(self, clips: Tensor) -> None:
        """Make 1 what LIMIT_RATE of these values, each of one clip, exceed; (n,)."""
        self.scale /= torch.quantile(clips, 1 - LIMIT_RATE)
