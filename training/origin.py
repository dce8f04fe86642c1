"""What the convolutions make of a frame -> a few numbers that tell where it comes from: voice, room, channel
and generator. Means of stretches of one origin lie together, others apart.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.heads import Standardise

HIDDEN = 128


class Origin(nn.Module):
    """(B, F, width) -> (B, F, numbers): at a squared distance of 1 two stretches' means are as likely of one
    origin as not.
    """

    def __init__(self, width: int, numbers: int) -> None:
        super().__init__()
        self.scale = Standardise(width)
        self.network = nn.Sequential(
            nn.Dropout(0.1), nn.Linear(width, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, numbers)
        )

    def forward(self, sound: Tensor) -> Tensor:
        found: Tensor = self.network(self.scale(sound))
        return found

    @torch.no_grad()
    def scale_to(self, even: float) -> None:
        """Make 1 what has been this squared distance."""
        last = self.network[-1]
        last.weight.mul_(even**-0.5)
        last.bias.mul_(even**-0.5)


def even_distance(distance: np.ndarray, other: np.ndarray) -> float:
    """The limit from which a pair is rather of two origins: as many of one lie above as of two below."""

    def worse(limit: float) -> float:
        return abs(float((distance[~other] >= limit).mean() - (distance[other] < limit).mean()))

    limits = np.quantile(distance, np.linspace(0.01, 0.99, 197))
    return float(limits[np.argmin([worse(limit) for limit in limits])])


def contrast(first: Tensor, second: Tensor, kinds: Sequence[str]) -> Tensor:
    """Mean embeddings of two stretches of each clip (B, numbers) -> the loss of telling its second one from
    those of clips of other kinds by the distance, and the other way round (van den Oord et al. 2018).
    """
    names = np.array(kinds)
    same = torch.from_numpy((names[:, None] == names[None]) & ~np.eye(len(names), dtype=bool))
    nearness = (-(torch.cdist(first, second) ** 2)).masked_fill(same, -1e4)
    own = torch.arange(len(names))
    return (functional.cross_entropy(nearness, own) + functional.cross_entropy(nearness.T, own)) / 2
