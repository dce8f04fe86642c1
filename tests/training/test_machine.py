"""What a training runs on, and in which numbers."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from training import encoder as encoders
from training import machine, models
from training.config import ENCODER_WINDOW, PRESETS, TrainingError
from training.encoder import EncoderNet, Half
from training.machine import Machine


def test_who_names_no_device_gets_the_accelerator_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Machine.here().device.type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "zeros", lambda *_, device: None)
    assert Machine.here().device.type == "cuda" and Machine.here("cpu").device.type == "cpu"


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(TrainingError, match="Device is 'abacus' .*; expected cpu, or cuda"):
        Machine.here("abacus")


@pytest.mark.parametrize(("half", "pays"), [(1.0, True), (3.0, False)])
def test_a_trunk_trains_in_bfloat16_where_that_is_quicker(
    half: float, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {torch.bfloat16: half, torch.float32: 2.0}
    monkeypatch.setattr(machine, "_took", lambda kind: times[kind])
    monkeypatch.setattr(encoders, "bfloat16_pays", machine.bfloat16_pays.__wrapped__)
    net = models.build(replace(PRESETS["encoder"], size="tiny").as_dict()).network.train()
    assert isinstance(net, EncoderNet)
    stand_in = Half.where_it_pays(net)
    net(0.1 * torch.randn(2, ENCODER_WINDOW))[0].sum().backward()
    assert (net.trunk.conv1.weight.grad is None) is (stand_in is not None) is pays
    if stand_in:
        stand_in.collect()
    grad = net.trunk.conv1.weight.grad
    assert grad is not None and grad.abs().sum() > 0


def test_an_accelerator_always_takes_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_took", lambda kind: pytest.fail("measured on the processor"))
    assert machine.bfloat16_pays.__wrapped__(SimpleNamespace(type="cuda"))  # type: ignore[arg-type]
