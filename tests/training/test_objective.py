"""Every part of the loss pulls where it should."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from training.batches import Batch
from training.config import TrainConfig
from training.objective import losses

CONFIG = TrainConfig(pairs=2, real=0, spoof=0)
SPOOF = torch.tensor([0.0, 1.0, 0.0, 1.0])
BATCH = Batch(torch.zeros(4, 8), SPOOF, SPOOF[:, None].expand(4, 3), torch.ones(4, 3))


class Says(nn.Module):
    """Fixed logits, whatever it hears."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits, dtype=torch.float32)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        return self.logits[:, None], self.logits[:, None].expand(4, 3)


def total(logits: list[float], **changes: float) -> float:
    return float(sum(losses(Says(logits), BATCH, replace(CONFIG, **changes)).values()))


def test_right_costs_less_than_wrong() -> None:
    assert total([-2, 2, -2, 2]) < total([0, 0, 0, 0]) < total([2, -2, 2, -2])


def test_a_twin_below_its_original_costs_even_where_both_are_called_alike() -> None:
    parts = [losses(Says(logits), BATCH, CONFIG)["pair"] for logits in ([1, 2, 1, 2], [2, 1, 2, 1])]
    assert parts[0] < parts[1]


def test_silent_frames_cost_nothing() -> None:
    silent = replace(BATCH, frame_weight=torch.tensor([[1.0, 1.0, 0.0]] * 4))
    loud = Says([-2, 2, -2, 2])
    assert torch.isclose(losses(loud, silent, CONFIG)["frame"], losses(loud, BATCH, CONFIG)["frame"])
