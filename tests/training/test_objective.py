"""Every part of the loss pulls where it should."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from training.batches import JOINED, Batch
from training.config import TrainConfig
from training.encoder import EncoderNet
from training.objective import losses, told_apart

CONFIG = TrainConfig(pairs=2, real=0, spoof=0)
SPOOF = torch.tensor([0.0, 1.0, 0.0, 1.0])
BATCH = Batch(
    torch.zeros(4, 8), SPOOF, SPOOF[:, None].expand(4, 3), torch.ones(4, 3), torch.zeros(4, dtype=torch.int64)
)


class Says(nn.Module):
    """Fixed logits, whatever it hears."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits, dtype=torch.float32)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        return self.logits[:, None], self.logits[:, None].expand(4, 3)


def total(logits: list[float], **changes: Any) -> float:
    return float(sum(losses(Says(logits), BATCH, replace(CONFIG, **changes)).values()))


class Listens(EncoderNet):
    """Hidden units as given, whatever it hears; their sum is the logit."""

    def __init__(self, units: Tensor) -> None:
        nn.Module.__init__(self)
        self.head = nn.Module()
        self.head.hidden = lambda states: (units, units[:, None].expand(4, 3, 2))  # type: ignore[assignment]
        self.head.judged = lambda own, frames: (own.sum(dim=1), frames.sum(dim=2))  # type: ignore[assignment]

    def states(self, waveform: Tensor) -> list[Tensor]:
        return []


def test_units_are_asked_to_name_kinds_but_not_of_what_is_joined() -> None:
    kinds = torch.tensor([0, 1, JOINED, JOINED])
    units = torch.zeros(4, 2, requires_grad=True)
    config = replace(CONFIG, kinds=0.5)
    named = nn.Linear(2, 2, bias=False)
    nn.init.eye_(named.weight)
    parts = losses(Listens(units), replace(BATCH, kind=kinds), config, named)
    assert torch.isclose(parts["kinds"], 0.5 * torch.tensor(2.0).log())
    (pull,) = torch.autograd.grad(parts["kinds"], units)
    assert (pull[:2].diagonal() < 0).all() and (pull[2:] == 0).all()
    assert set(parts) == {"kinds", "window", "pair", "frame"}


def test_right_costs_less_than_wrong() -> None:
    assert total([-2, 2, -2, 2]) < total([0, 0, 0, 0]) < total([2, -2, 2, -2])


@pytest.mark.parametrize("loss", ["smoothed", "one-class"])
def test_each_loss_asks_real_clips_to_lie_below_spoofs(loss: str) -> None:
    config = replace(CONFIG, loss=loss, pair_weight=0.0, frame_weight=0.0)
    logit = torch.zeros(4, requires_grad=True)
    (gradient,) = torch.autograd.grad(told_apart(logit, SPOOF, config).sum(), logit)
    assert (gradient[SPOOF > 0] < 0).all() and (gradient[SPOOF == 0] > 0).all()


def test_one_class_leaves_real_clips_alone_sooner_than_spoofs() -> None:
    logit = torch.tensor([-1.0, 1.5], requires_grad=True)  # each half beyond its end
    off = told_apart(logit, torch.tensor([0.0, 1.0]), replace(CONFIG, loss="one-class"))
    (pull,) = torch.autograd.grad(off.sum(), logit)
    assert 0 < 4 * pull[0] < -pull[1]


def test_one_class_asks_nothing_more_of_what_lies_beyond_its_end() -> None:
    ends = told_apart(torch.tensor([-3.0, 8.0]), torch.tensor([0.0, 1.0]), replace(CONFIG, loss="one-class"))
    assert ends.max() < 1e-3


def test_both_labels_weigh_alike_however_many_there_are() -> None:
    uneven = replace(BATCH, spoof=torch.tensor([0.0, 1.0, 1.0, 1.0]))
    off = [losses(Says(logits), uneven, CONFIG)["window"] for logits in ([3, 2, 2, 2], [-2, -3, -3, -3])]
    assert torch.isclose(*off)


def test_a_twin_below_its_original_costs_even_where_both_are_called_alike() -> None:
    parts = [losses(Says(logits), BATCH, CONFIG)["pair"] for logits in ([1, 2, 1, 2], [2, 1, 2, 1])]
    assert parts[0] < parts[1]


def test_silent_frames_cost_nothing() -> None:
    silent = replace(BATCH, frame_weight=torch.tensor([[1.0, 1.0, 0.0]] * 4))
    loud = Says([-2, 2, -2, 2])
    assert torch.isclose(losses(loud, silent, CONFIG)["frame"], losses(loud, BATCH, CONFIG)["frame"])
