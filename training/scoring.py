"""A torch network over pooled clips -> logits per window and frame, cut by serving's own window rule; for
dev in training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from serving.audio import chunks
from training.config import TrainConfig
from training.pool import VARIANTS, Pool

MAX_WINDOWS = 64
T = TypeVar("T")


@dataclass(frozen=True)
class Logits:
    window: list[np.ndarray]  # per clip (W,)
    frame: list[np.ndarray]  # per clip (F,); empty where the network has no frames

    def clip(self) -> np.ndarray:
        """(clips,) mean over each clip's windows"""
        return np.array([w.mean() for w in self.window])

    def __add__(self, other: "Logits") -> "Logits":
        """Clips of both, one list after the other."""
        return Logits(self.window + other.window, self.frame + other.frame)


def by_chunk(work: Callable[[torch.Tensor], T], samples: np.ndarray, config: TrainConfig) -> list[T]:
    """What `work` makes of each chunk (1, N) that serving cuts a clip (N,) into."""
    parts = chunks([samples], config.window_samples, config.hop_samples, MAX_WINDOWS)
    return [work(torch.from_numpy(part.samples)[None]) for part in parts]


@torch.no_grad()
def score(network: nn.Module, pool: Pool, count: int, config: TrainConfig, variant: str = "plain") -> Logits:
    """Logits of the pool's first `count` clips."""
    network.eval()
    windows, frames = [], []
    for index in range(count):
        results = by_chunk(network, pool.get(index, variant), config)
        windows.append(np.concatenate([w[0].numpy() for w, _ in results]))
        frames.append(
            np.concatenate([f[0].numpy() if f is not None else np.zeros(0, np.float32) for _, f in results])
        )
    return Logits(windows, frames)


def heard(network: nn.Module, pool: Pool, count: int, config: TrainConfig) -> dict[str, Logits]:
    """Variant -> logits of the clips in it: as they are, and as a codec leaves them."""
    return {variant: score(network, pool, count, config, variant) for variant in VARIANTS}
