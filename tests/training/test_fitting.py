"""Of the weights before and after fine-tuning, the mix that measures best is kept."""

import pytest
import torch

from training import fitting
from training.fitting import MIXES, best_share, mixed


def test_a_mix_lies_between_its_ends() -> None:
    start, tuned = {"w": torch.tensor([0.0, 2.0])}, {"w": torch.tensor([4.0, 2.0])}
    assert torch.equal(mixed(start, tuned, 0.0)["w"], start["w"])
    assert torch.equal(mixed(start, tuned, 0.25)["w"], torch.tensor([1.0, 2.0]))
    assert torch.equal(mixed(start, tuned, 1.0)["w"], tuned["w"])


@pytest.mark.parametrize("best", MIXES)
def test_the_best_share_is_found_and_the_network_left_as_it_was(
    best: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = []
    monkeypatch.setattr(fitting.mlflow, "log_metric", lambda name, value, step: logged.append((step, value)))
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 8.0)
    start = {"weight": torch.zeros(1, 1)}
    found = best_share(network, start, lambda: -abs(network.weight.item() - 8 * best))
    assert found == best
    assert network.weight.item() == 8
    assert [step for step, _ in logged] == [round(100 * share) for share in MIXES]
