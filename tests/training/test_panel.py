"""A network with a head of its own learns what several others say together."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from training import teacher
from training.batches import Batch
from training.config import PRESETS, TrainConfig, configure
from training.encoder import EncoderNet
from training.models import Detector, build
from training.teacher import Panel, taught

TINY = replace(PRESETS["encoder"], size="tiny", hidden=16)
SHORT = {"size": "tiny", "hidden": 16, "window_samples": 24_576, "hop_samples": 24_576}
FINER = configure("encoder", SHORT | {"frame_hop_samples": 384})
COARSER = configure("encoder", SHORT | {"frame_hop_samples": 512})
LOGITS = replace(FINER, taught="logits")


def detector(config: TrainConfig, seed: int) -> Detector:
    torch.manual_seed(seed)
    made = build(config.as_dict())
    made.window_calibration.copy_(torch.tensor([2.0, 0.5]))
    return made.eval()


def pupil_of(made: Detector) -> EncoderNet:
    network = copy.deepcopy(made.network).eval()
    assert isinstance(network, EncoderNet)
    return network


def heard(samples: int) -> Batch:
    """Six clips that are as different as can be: tones an octave apart over noise of falling level."""
    noise = torch.randn(6, samples, generator=torch.Generator().manual_seed(0))
    octave = 2.0 ** torch.arange(6)[:, None]
    waveform = (
        0.3 * torch.sin(2 * torch.pi * 150 * octave * torch.arange(samples) / 16_000) + noise / octave / 10
    )
    label = torch.tensor([0.0, 1.0] * 3)
    return Batch(waveform, label, label[:, None], torch.ones(6, 1), label.long(), waveform)


BATCH = heard(FINER.window_samples)


def batches() -> Iterator[Batch]:
    while True:
        yield BATCH


@torch.no_grad()
def test_what_is_asked_of_windows_is_the_mean_of_the_llrs() -> None:
    """Not of the logits: the teachers' calibrations differ."""
    first, second, pupil = detector(FINER, 0), detector(FINER, 1), pupil_of(detector(FINER, 2))
    second.window_calibration.copy_(torch.tensor([-7.0, 3.0]))
    mean = torch.stack([one(BATCH.waveform)[0] for one in (first, second)]).mean(dim=0)
    expected = ((pupil(BATCH.waveform)[0] - mean) ** 2).mean() / mean.var()
    found = Panel([first, second]).losses(pupil, BATCH)["window"]
    assert torch.isclose(found, expected, rtol=0.05)  # teachers' trunks speak in bfloat16


@torch.no_grad()
def test_of_frames_the_first_speaks_alone_though_its_own_are_longer() -> None:
    """A ramp over 48 frames is the same ramp over 64."""
    coarse, fine, pupil = detector(COARSER, 0), detector(FINER, 1), pupil_of(detector(FINER, 2))

    class Ramp(torch.nn.Module):
        def forward(self, waveform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return coarse(waveform)[0], ((torch.arange(48) + 0.5) / 48).expand(6, 48)

    ramp = ((torch.arange(64) + 0.5) / 64).clamp(0.5 / 48, 1 - 0.5 / 48).expand(6, 64)
    panel = Panel([coarse, fine])
    panel.detectors = [Ramp(), fine]  # type: ignore[list-item]
    own = pupil(BATCH.waveform)[1]
    expected = teacher.LOGIT_WEIGHT * ((own - ramp) ** 2).mean() / ramp.var()
    assert torch.isclose(panel.losses(pupil, BATCH)["frame"], expected, rtol=1e-4)


def test_who_says_what_the_panel_says_has_nothing_to_learn() -> None:
    master = detector(FINER, 0)
    master.window_calibration.copy_(torch.tensor([1.0, 0.0]))
    pupil = pupil_of(master)
    with torch.no_grad():
        found = Panel([master]).losses(pupil, BATCH)
        other = Panel([detector(FINER, 0)]).losses(pupil, BATCH)
    assert float(found["window"]) < 0.02 and float(found["frame"]) < 0.02
    assert float(other["window"]) > 0.5  # LLRs of twice the logits and a half


def test_a_pupil_starts_from_the_head_of_a_teacher_with_as_many_units(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = {"one": detector(COARSER, 0), "two": detector(FINER, 1)}
    monkeypatch.setattr(teacher, "checkpoint", lambda run: run)
    monkeypatch.setattr(teacher, "detector_of", made.__getitem__)
    master, pupil = pupil_of(made["two"]), pupil_of(detector(FINER, 2))
    pupil.trunk.load_state_dict(master.trunk.state_dict())
    taught(pupil, ["one", "two"], batches(), LOGITS)
    with torch.no_grad():
        assert torch.allclose(pupil.eval()(BATCH.waveform)[0], master(BATCH.waveform)[0], atol=1e-3)


@pytest.mark.parametrize(
    ("pupil", "runs", "said"),
    [
        (configure("rescnn", {"taught": "logits"}), ["long"], "teach an encoder, found a ResCnn"),
        (LOGITS, ["long"], "windows of 30720 samples; it needs frames, and windows of 24576"),
        (LOGITS, ["seed"], "a SeedCnn with windows of 8000"),
    ],
)
def test_a_panel_hears_the_same_windows(
    pupil: TrainConfig, runs: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"long": TINY, "seed": PRESETS["seed"]}
    monkeypatch.setattr(teacher, "checkpoint", lambda run: run)
    monkeypatch.setattr(teacher, "detector_of", lambda run: build(made[run].as_dict()))
    with pytest.raises(ValueError, match=said):
        taught(build(pupil.as_dict()).network, runs, batches(), pupil)
