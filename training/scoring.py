"""A torch network over pooled clips -> logits per window and frame, cut and joined by serving's own rules;
for dev in training.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from serving.chunking import Chunk, chunks
from serving.frames import FrameTrack
from training.config import TrainConfig
from training.machine import CPU
from training.pool import VARIANTS, Pool, Selection

MAX_WINDOWS = 64


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


def chunks_of(samples: np.ndarray, config: TrainConfig) -> Iterator[Chunk]:
    """The chunks that serving cuts a clip (N,) into."""
    return chunks([samples], config.window_samples, config.hop_samples, MAX_WINDOWS)


@torch.no_grad()
def score(
    network: nn.Module, pool: Pool | Selection, count: int, config: TrainConfig, variant: str = "plain"
) -> Logits:
    """Logits of the pool's first `count` clips."""
    network.eval()
    device = next((weights.device for weights in network.parameters()), CPU)
    windows, frames = [], []
    for index in range(count):
        samples, track, found = pool.get(index, variant), FrameTrack(config.frame_hop_samples), []
        for part in chunks_of(samples, config):
            window, frame = network(torch.from_numpy(part.samples)[None].to(device))
            found.append(window[0].cpu().numpy())
            if frame is not None:
                track.add(part.start_sample, frame[0].cpu().numpy())
        windows.append(np.concatenate(found))
        frames.append(track.joined(len(samples)))
    return Logits(windows, frames)


def heard(network: nn.Module, pool: Pool, count: int, config: TrainConfig) -> dict[str, Logits]:
    """Variant -> logits of the clips in it: as they are, and as a codec leaves them."""
    return {variant: score(network, pool, count, config, variant) for variant in VARIANTS}
