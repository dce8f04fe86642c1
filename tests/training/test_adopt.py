"""A network that adopts another's word says what both say by their shares, its frames what they said."""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training import adopt, models
from training.adopt import Heard, beside, fitted, heard
from training.config import ENCODER_WINDOW, PRESETS, TrainConfig, TrainingError, configure
from training.encoder import EncoderNet
from training.heads import Standardise

TINY = replace(PRESETS["encoder"], size="tiny", hidden=16)


def encoder(config: TrainConfig, seed: int) -> EncoderNet:
    torch.manual_seed(seed)
    found = models.build(config.as_dict()).network.eval()
    assert isinstance(found, EncoderNet)
    return found


def noise(seed: int) -> torch.Tensor:
    return torch.randn(4, ENCODER_WINDOW, generator=torch.Generator().manual_seed(seed)) * 0.1


@dataclass
class Of:
    waveform: torch.Tensor


def twice(first: EncoderNet, second: EncoderNet) -> EncoderNet:
    units, frame_units = first.head.units + second.head.units, first.head.frame_units
    return encoder(replace(TINY, hidden=units, frame_units=frame_units), 9)


@pytest.mark.parametrize("share", [0.5, 0.2])
@torch.no_grad()
def test_of_one_trunk_the_whole_says_both_by_their_shares_and_frames_are_the_firsts(share: float) -> None:
    first, second = encoder(TINY, 0), encoder(replace(TINY, hidden=40), 1)
    second.trunk.load_state_dict(first.trunk.state_dict())
    whole = twice(first, second)
    layer = second.head.window[1]
    assert isinstance(layer, torch.nn.Linear)
    beside(first, second, share, layer, whole)
    (own, frames), (theirs, _), (said, found) = (net(noise(2)) for net in (first, second, whole))
    assert torch.allclose(said, (1 - share) * own + share * theirs, atol=1e-5)
    assert torch.allclose(found, frames, atol=1e-5)


def example(width: int, scale: Standardise) -> tuple[torch.Tensor, torch.Tensor]:
    """States of a few dimensions (3000, width), one of them far larger than the rest, and the same scaled."""
    torch.manual_seed(5)
    states = torch.randn(3_000, 6) @ torch.randn(6, width)
    states[:, 3] *= 100
    scale.measure(states, states.abs().mean(dim=0))
    return states, scale(states)


def test_units_are_found_in_states_and_judged_as_they_are() -> None:
    second, scale = encoder(replace(TINY, hidden=40), 1), Standardise(second_width := 300)
    states, scaled = example(second_width, scale)
    torch.manual_seed(6)
    judge = second.head.window[3:].eval().requires_grad_(False)
    with torch.no_grad():
        units = torch.nn.functional.gelu(scaled @ torch.randn(second_width, 40) / 20)
    layer = torch.nn.Sequential(torch.nn.Linear(second_width, 40), torch.nn.GELU())
    fitted(layer, scale, Heard(states[:2_500].half(), units[:2_500]), judge, steps=300)
    with torch.no_grad():
        found = layer(scaled[2_500:])
    assert ((found - units[2_500:]) ** 2).mean() < 0.05 * units.var()
    assert np.corrcoef(judge(found)[:, 0], judge(units[2_500:])[:, 0])[0, 1] > 0.97


@pytest.mark.parametrize("share", [0.5, 0.2])
@torch.no_grad()
def test_both_hear_the_same_sound_and_frames_are_told_both_by_their_shares(share: float) -> None:
    """Of frames of other lengths those of the same time."""
    first = encoder(TINY, 0)
    second = encoder(replace(TINY, hidden=40, frame_hop_samples=480), 1)
    judged = copy.deepcopy(second.head).hidden(second.states(noise(3)))
    batch = Of(noise(3))
    windows, frames = heard(first, second, share, iter([batch] * 2), 2)  # type: ignore[list-item]
    assert windows.states.shape == (8, first.head.width)
    assert torch.allclose(windows.units, torch.cat([judged[0]] * 2), atol=1e-5)
    own, theirs = first(noise(3))[1], second(noise(3))[1]
    finer = torch.nn.functional.interpolate(theirs[:, None], size=48, mode="linear")[:, 0]
    both = ((1 - share) * own + share * finer).flatten()
    framed = first.head.framed(first.states(noise(3))).flatten(0, 1)
    assert len(frames.units) == 2 * len(both)  # all that there are
    for states, unit in zip(frames.states[:20], frames.units[:20, 0], strict=True):
        row = (framed - states.float()).abs().sum(dim=1).argmin()
        assert torch.isclose(both[row], unit, atol=1e-5)


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ({"one": {}, "two": {"architecture": "rescnn"}}, "hold EncoderNet and ResCnn; give two of encoders"),
        ({"one": {}, "two": {"frame_hop_samples": 512}}, "have 30720 and 24576 samples; give two"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    runs: dict[str, dict[str, Any]], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def content(run: str) -> dict[str, Any]:
        changes = {"size": "tiny"} | runs[run]
        config = configure(changes.pop("architecture", "encoder"), changes).as_dict()
        return {"config": config, "model": models.build(config).state_dict()}

    monkeypatch.setattr(adopt, "checkpoint", content)
    with pytest.raises(TrainingError, match=said):
        adopt.run("one", "two", 0.5, Path("/nowhere"), [], "adopted")


@pytest.mark.parametrize("share", [0, 1, 1.5])
def test_who_would_have_all_of_the_say_or_none_is_refused(share: float) -> None:
    with pytest.raises(TrainingError, match=f"share is {share}; give one between 0 and 1"):
        adopt.run("one", "two", share, Path("/nowhere"), [], "adopted")
