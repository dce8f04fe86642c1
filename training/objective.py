"""What training minimises, and with what: the loss of a batch, the optimiser and its schedule."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.batches import JOINED, Batch
from training.config import TrainConfig
from training.encoder import EncoderNet

Lesson = Callable[[Batch], dict[str, Tensor]]  # a batch -> the parts of the loss
WARM_UP = 0.05  # share of all steps
MARGIN = 2.0  # by which a twin's logit should exceed its original's
# Of the one-class loss: where real and spoofed logits should end, and how sharply the former's loss does.
REAL_END, SPOOF_END, SHARP = -0.5, 1.0, 5.0
KINDS_SMOOTHING = 0.1  # of the labels of kinds


def losses(
    network: nn.Module, batch: Batch, config: TrainConfig, named: nn.Module | None = None
) -> dict[str, Tensor]:
    """The parts of the loss, each a scalar already weighted; `named` maps an encoder's hidden units to logits
    of kinds where the configuration asks for them.
    """
    parts = {}
    if config.kinds and isinstance(network, EncoderNet) and named is not None:
        units, frame_units = network.head.hidden(network.states(batch.waveform))
        window, frame = network.head.judged(units, frame_units)
        parts["kinds"] = config.kinds * kinds_told(named(units), batch.kind)
    else:
        window, frame = network(batch.waveform)
        window = window.mean(dim=1)  # (B, W) -> (B,)
    even = torch.where(batch.spoof > 0, 0.5 / batch.spoof.mean(), 0.5 / (1 - batch.spoof).mean())
    parts["window"] = (even * told_apart(window, batch.spoof, config)).mean()
    pairs = window[: 2 * config.pairs].reshape(-1, 2)
    parts["pair"] = config.pair_weight * functional.softplus(MARGIN - (pairs[:, 1] - pairs[:, 0])).mean()
    if frame is not None and config.frame_weight:
        each = smoothed(frame, batch.frame_spoof, config)
        parts["frame"] = config.frame_weight * (each * batch.frame_weight).sum() / batch.frame_weight.sum()
    return parts


def kinds_told(logits: Tensor, kind: Tensor) -> Tensor:
    """Logits (n, kinds) and kinds (n,) -> mean cross-entropy; what is joined of two clips is of no kind."""
    return functional.cross_entropy(logits, kind, ignore_index=JOINED, label_smoothing=KINDS_SMOOTHING)


def told_apart(logit: Tensor, spoof: Tensor, config: TrainConfig) -> Tensor:
    """Logits and labels, (n,) each -> loss (n,): cross-entropy with smoothed labels, or one-class.

    The latter (after Zhang et al. 2021) asks real clips to lie below one end and nothing more, so that they
    lie close together, and spoofs, which have always other kinds, to lie above another.
    """
    if config.loss == "one-class":
        kept = functional.softplus(SHARP * (logit - REAL_END)) / SHARP
        return torch.where(spoof > 0, functional.softplus(SPOOF_END - logit), kept)
    return smoothed(logit, spoof, config)


def smoothed(logit: Tensor, spoof: Tensor, config: TrainConfig) -> Tensor:
    """Logits and labels of one shape -> cross-entropy with smoothed labels of each."""
    smooth = spoof * (1 - 2 * config.label_smoothing) + config.label_smoothing
    return functional.binary_cross_entropy_with_logits(logit, smooth, reduction="none")


def optimiser(
    network: nn.Module, config: TrainConfig, named: nn.Module | None = None
) -> tuple[torch.optim.Optimizer, Any]:
    """AdamW with a one-cycle schedule; a pretrained trunk has a rate of its own."""
    trunk = [p for n, p in network.named_parameters() if n.startswith("trunk.")]
    new = [p for n, p in network.named_parameters() if not n.startswith("trunk.")]
    new += [] if named is None else named.parameters()
    groups = [{"params": new, "lr": config.lr}] + (
        [{"params": trunk, "lr": config.trunk_lr}] if trunk else []
    )
    adam = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
    total = max(1, config.epochs * config.steps)

    def rate(step: int) -> float:
        warm = min(1.0, (step + 1) / (WARM_UP * total))
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total))) + 1e-3

    return adam, torch.optim.lr_scheduler.LambdaLR(adam, rate)


def warming(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Exponential average whose memory grows with the steps up to `decay`: its start is soon forgotten."""

    def step(averages: Sequence[Tensor], weights: Sequence[Tensor], seen: Tensor | int) -> None:
        keep = min(decay, (1 + int(seen)) / (10 + int(seen)))
        for average, weight in zip(averages, weights, strict=True):
            if average.is_floating_point():
                average.lerp_(weight, 1 - keep)
            else:
                average.copy_(weight)

    return step
