"""The encoder's head fitted to the frozen trunk's features, before both are fine-tuned together.

A random head would first pull good features apart; fitting it alone keeps them, which pays out of domain
(Kumar et al. 2022, linear probing then fine-tuning). The features are computed once and the head passes over
them many times.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from training.batches import Batch
from training.config import TrainConfig
from training.encoder import EncoderNet, Half

STEPS, BATCH, RATE = 1500, 512, 1e-3
FRAMES_KEPT = 64  # of each batch, for the scale of single frames


@torch.no_grad()
def _features(network: EncoderNet, batches: Iterator[Batch], count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Statistics (n, the head's width) float16 and labels (n,) of `count` batches, and some single frames (m,
    width).
    """
    statistics, labels, frames = [], [], []
    for _ in tqdm(range(count), desc="features of the frozen trunk", leave=False):
        batch = next(batches)
        states = network.states(batch.waveform)
        statistics.append(network.head.statistics(states).half())
        labels.append(batch.spoof)
        flat = network.head.framed(states).flatten(0, 1)
        frames.append(flat[torch.randperm(len(flat))[:FRAMES_KEPT]])
    return torch.cat(statistics), torch.cat(labels), torch.cat(frames)


def measured(network: EncoderNet, batches: Iterator[Batch], count: int) -> tuple[Tensor, Tensor]:
    """Set the head's scales in place from `count` batches; their statistics (n, the head's width) float16 and
    labels (n,).
    """
    network.train()
    Half(network)  # the stand-in computes the features, as in the training that follows
    statistics, labels, frames = _features(network, batches, count)
    level = frames.mean(dim=0)
    network.head.statistics_scale.measure(statistics.float(), level.repeat(network.head.figures))
    network.head.frame_scale.measure(frames, level)
    return statistics, labels


def probe(network: EncoderNet, batches: Iterator[Batch], config: TrainConfig) -> None:
    """Fit the head's scales and its window part in place."""
    statistics, labels = measured(network, batches, config.probe_batches)
    head = network.head
    adam = torch.optim.AdamW(head.window.parameters(), lr=RATE, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, STEPS)
    bar = tqdm(range(STEPS), desc="probe", leave=False)
    for _ in bar:
        rows = torch.randint(len(labels), (BATCH,))
        logit = head.window(head.statistics_scale(statistics[rows].float()))[:, 0]
        target = labels[rows] * (1 - 2 * config.label_smoothing) + config.label_smoothing
        loss = functional.binary_cross_entropy_with_logits(logit, target)
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.3f}")
