"""What goes from a network's layers is what the rest makes up for, and what is left says the same."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from training import models, narrow
from training.config import TrainingError, configure
from training.encoder import HEAD_WIDTH, EncoderNet
from training.narrow import Thinned, narrowed, thinned

SECONDS = torch.arange(2 * 30_720) / 16_000


def told(inputs: torch.Tensor, left: Thinned) -> torch.Tensor:
    return inputs[:, left.kept] @ left.weight.T + left.bias


def moments(inputs: torch.Tensor) -> torch.Tensor:
    known = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1).double()
    return known.T @ known / len(inputs)


def example(seed: int, independent: int, inputs: int, outputs: int) -> tuple[torch.Tensor, ...]:
    """Inputs (500, n) that are mixtures of fewer, a product's weight and its bias."""
    torch.manual_seed(seed)
    return (
        torch.randn(500, independent) @ torch.randn(independent, inputs) + torch.randn(inputs),
        torch.randn(outputs, inputs),
        torch.randn(outputs),
    )


@pytest.mark.parametrize("seed", range(3))
def test_inputs_that_others_hold_already_go_for_nothing(seed: int) -> None:
    inputs, weight, bias = example(seed, 20, 60, 7)
    wanted = inputs @ weight.T + bias
    left = thinned(weight, bias, moments(inputs), 24)
    assert len(left.kept) == 24
    assert (told(inputs, left) - wanted).std() < 0.02 * wanted.std()
    assert left.lost < 1e-3


def test_what_never_changes_moves_into_the_bias() -> None:
    inputs, weight, bias = example(0, 12, 12, 5)
    inputs[:, 4] = 3.0
    left = thinned(weight, bias, moments(inputs), 11)
    assert 4 not in left.kept
    assert torch.allclose(told(inputs, left), inputs @ weight.T + bias, atol=0.1)


def test_the_loss_is_stated_and_smaller_than_by_deleting() -> None:
    inputs, weight, bias = example(5, 40, 40, 9)
    wanted = inputs @ weight.T + bias
    left = thinned(weight, bias, moments(inputs), 20)
    off = ((told(inputs, left) - wanted) ** 2).sum(dim=1).mean() / wanted.var(dim=0).sum()
    assert left.lost == pytest.approx(off.item(), rel=0.05)
    deleted = inputs[:, left.kept] @ weight[:, left.kept].T + bias
    deleted += (wanted - deleted).mean(dim=0)
    assert off < 0.8 * ((deleted - wanted) ** 2).sum(dim=1).mean() / wanted.var(dim=0).sum()


def test_groups_stay_or_go_whole() -> None:
    inputs, weight, bias = example(1, 24, 24, 6)
    weight[:, 8:12] = 0
    left = thinned(weight, bias, moments(inputs), 5, group=4)
    assert left.kept.tolist() == [*range(8), *range(12, 24)]
    assert torch.allclose(told(inputs, left), inputs @ weight.T + bias, atol=0.1)


def encoder(**changes: Any) -> EncoderNet:
    torch.manual_seed(3)
    found = models.build(configure("encoder", changes).as_dict()).network.eval()
    assert isinstance(found, EncoderNet)
    return found


def waveforms() -> list[torch.Tensor]:
    torch.manual_seed(4)
    loud = 0.1 * (1 + torch.sin(2 * torch.pi * 3 * SECONDS))
    return [loud * torch.randn(2, len(SECONDS)) for _ in range(2)]


@torch.no_grad()
def test_a_network_says_the_same_without_what_it_never_used() -> None:
    wide = encoder(size="tiny")
    heads, units = 4, 600
    for layer in wide.trunk.layers:
        layer.out.weight[:, heads * HEAD_WIDTH :] = 0  # type: ignore[index, operator, union-attr]
        layer.down.weight[:, units:] = 0  # type: ignore[index, union-attr]
    heard = waveforms()
    wanted = [wide(one) for one in heard]
    slim = encoder(size="tiny", heads=heads, mlp=units)
    narrowed(wide, slim, heard)
    assert [layer.qkv.out_features for layer in slim.trunk.layers] == [3 * heads * HEAD_WIDTH] * 2  # type: ignore[union-attr]
    for one, (window, frame) in zip(heard, wanted, strict=True):
        found = slim(one)
        assert torch.allclose(found[0], window, atol=1e-3)
        assert torch.allclose(found[1], frame, atol=1e-3)


@pytest.mark.parametrize(
    ("architecture", "heads", "mlp", "said"),
    [
        ("rescnn", 6, 768, "The run holds a ResCnn; give one of an encoder."),
        ("encoder", 9, 768, "--heads is 9; the run has 8, give 1 to as many."),
        ("encoder", 6, 0, "--mlp is 0; the run has 2048, give 1 to as many."),
    ],
)
def test_what_can_not_be_narrowed_is_refused(
    architecture: str, heads: int, mlp: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(architecture, {}).as_dict()
    content = {"config": config, "model": models.build(config).state_dict()}
    monkeypatch.setattr(narrow, "checkpoint", lambda run: content)
    with pytest.raises(TrainingError, match=re.escape(said)):
        narrow.run("one", Path("/nowhere"), [], heads, mlp, "narrow")
