"""The encoder's head fitted to the frozen trunk's features, before both are fine-tuned together.

A random head would first pull good features apart; fitting it alone keeps them, which pays out of domain
(Kumar et al. 2022, linear probing then fine-tuning). The features are computed once and the head passes over
them many times.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm

from training.batches import Batch
from training.config import TrainConfig
from training.encoder import EncoderNet, Half
from training.heads import HIDDEN
from training.objective import kinds_told, told_apart

STEPS, BATCH, RATE = 1500, 512, 1e-3
FRAMES_KEPT = 64  # of each batch, for the scale of single frames


@dataclass(frozen=True)
class Features:
    statistics: Tensor  # (n, the head's width) float16
    spoof: Tensor  # (n,)
    kind: Tensor  # (n,) as in batches
    frames: Tensor  # (m, width) some single frames


@torch.no_grad()
def _features(network: EncoderNet, batches: Iterator[Batch], count: int) -> Features:
    """Of `count` batches."""
    statistics, frames, spoof, kind = [], [], [], []
    for _ in tqdm(range(count), desc="features of the frozen trunk", leave=False):
        batch = next(batches)
        states = network.states(batch.waveform)
        statistics.append(network.head.statistics(states).half())
        spoof.append(batch.spoof)
        kind.append(batch.kind)
        flat = network.head.framed(states).flatten(0, 1)
        frames.append(flat[torch.randperm(len(flat), device=flat.device)[:FRAMES_KEPT]])
    return Features(*map(torch.cat, (statistics, spoof, kind, frames)))


def measured(network: EncoderNet, batches: Iterator[Batch], count: int) -> Features:
    """Set the head's scales in place from `count` batches, and give what they were set from."""
    network.train()
    Half.where_it_pays(network)  # features are computed as in the training that follows
    found = _features(network, batches, count)
    level = found.frames.mean(dim=0)
    network.head.statistics_scale.measure(found.statistics.float(), level.repeat(network.head.figures))
    network.head.frame_scale.measure(found.frames, level)
    return found


def probe(network: EncoderNet, batches: Iterator[Batch], config: TrainConfig) -> None:
    """Fit the head's scales and its window part in place.

    Its hidden units may have to name each clip's source or generator as well: that way they keep more of what
    tells kinds apart than two labels ask for, and hold better on kinds that they have not met.
    """
    found = measured(network, batches, config.probe_batches)
    head = network.head
    named = nn.Linear(head.units, int(found.kind.max()) + 1) if config.probe_kinds else nn.Identity()
    named.to(found.spoof.device)

    def loss_of(rows: Tensor) -> Tensor:
        units = head.window[:HIDDEN](head.statistics_scale(found.statistics[rows].float()))
        logit = head.window[HIDDEN:](units)[:, 0]
        loss = told_apart(logit, found.spoof[rows], config).mean()
        if config.probe_kinds:
            loss += config.probe_kinds * kinds_told(named(units), found.kind[rows])
        return loss

    weights = [*head.window.parameters(), *named.parameters()]
    descend(weights, loss_of, found.spoof, STEPS, config.weight_decay)


def descend(
    weights: Iterable[nn.Parameter],
    loss_of: Callable[[Tensor], Tensor],
    held: Tensor,
    steps: int,
    decay: float,
) -> None:
    """Fit weights in place to the loss of random rows among the features that are `held` (n, ...)."""
    adam = torch.optim.AdamW(weights, lr=RATE, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    bar = tqdm(range(steps), desc="fitting to features", leave=False)
    for _ in bar:
        loss = loss_of(torch.randint(len(held), (BATCH,), device=held.device))
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.3f}")
