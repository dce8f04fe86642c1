"""The graph contract on every architecture: a window's score is its own."""

from collections.abc import Iterator

import pytest
import torch

from training import models
from training.config import ENCODER_WINDOW, PRESETS, TrainConfig, TrainingError, configure
from training.heads import MOST_MAGNIFIED, Head, Standardise
from training.models import Detector, build

TOLERANCE = 1e-4
CONFIGS = PRESETS | {
    "fused": TrainConfig(architecture="fused", hop_samples=ENCODER_WINDOW),
    "halved": TrainConfig(architecture="encoder", hop_samples=ENCODER_WINDOW, layers=3, full_rate=1),
    "steps": TrainConfig(architecture="encoder", hop_samples=ENCODER_WINDOW, full_rate=1, statistics=3),
    "tiny": TrainConfig(architecture="encoder", hop_samples=ENCODER_WINDOW, size="tiny"),
    "slim": TrainConfig(width="slim"),
    "slim in fused": TrainConfig(architecture="fused", hop_samples=ENCODER_WINDOW, width="slim"),
    "fine in fused": configure("encoder", {"architecture": "fused", "frame_hop_samples": 512}),
    "two frames in fused": configure(
        "encoder",
        {
            "architecture": "fused",
            "frame_hop_samples": 384,
            "window_samples": 24_576,
            "hop_samples": 24_576,
            "small_hop_samples": 512,
        },
    ),
    "fine": configure("rescnn", {"frame_hop_samples": 512}),
}


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def named(request: pytest.FixtureRequest) -> Iterator[tuple[TrainConfig, Detector]]:
    torch.manual_seed(0)
    config = CONFIGS[request.param]
    yield config, build(config.as_dict()).eval()


def windows(detector: Detector, waveform: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        result = detector(waveform)
    return result if isinstance(result, torch.Tensor) else result[0]


def test_windows_are_counted_as_the_contract_says(named: tuple[TrainConfig, Detector]) -> None:
    config, detector = named
    n, hop = config.window_samples, config.hop_samples
    for samples in (n, n + 1, n + hop - 1, n + hop, 2 * n, 2 * n + 3 * hop + 5):
        found = windows(detector, torch.zeros(1, samples)).shape[1]
        assert found == 1 + (samples - n) // hop


def test_score_is_the_same_alone_in_a_batch_and_inside_a_longer_clip(
    named: tuple[TrainConfig, Detector],
) -> None:
    config, detector = named
    clip = torch.randn(2, config.window_samples + 3 * config.hop_samples) * 0.1
    clip[1] *= 20  # a loud neighbour
    whole = windows(detector, clip)
    start = 2 * config.hop_samples
    alone = windows(detector, clip[:1, start : start + config.window_samples])
    assert (whole[0, 2] - alone[0, 0]).abs() < TOLERANCE


@pytest.mark.parametrize(
    "architecture", ["rescnn", "encoder", "fused", "halved", "steps", "slim"]
)  # the seed's MFCC keep the level: one of its faults
def test_level_does_not_change_a_score(architecture: str) -> None:
    torch.manual_seed(0)
    config = CONFIGS[architecture]
    detector = build(config.as_dict()).eval()
    clip = torch.randn(1, config.window_samples) * 0.3
    assert (windows(detector, clip) - windows(detector, clip * 0.1)).abs().max() < 0.02


@pytest.mark.parametrize("architecture", ["encoder", "fused", "halved"])
def test_very_quiet_speech_scores_as_loud_speech_does(architecture: str) -> None:
    """Gaps of -60 dB between loud stretches: under a fixed floor they would change with the level."""
    torch.manual_seed(0)
    config = CONFIGS[architecture]
    detector = build(config.as_dict()).eval()
    envelope = torch.where(torch.arange(config.window_samples) // 3200 % 2 == 0, 1.0, 1e-3)
    clip = torch.randn(1, config.window_samples) * 0.2 * envelope
    loud = windows(detector, clip)
    for gain in (0.1, 0.01, 0.003):
        assert (loud - windows(detector, clip * gain)).abs().max() < TOLERANCE


def test_frames_cover_their_windows(named: tuple[TrainConfig, Detector]) -> None:
    config, detector = named
    with torch.no_grad():
        result = detector(torch.zeros(1, 2 * config.window_samples))
    if isinstance(result, torch.Tensor):
        assert config.architecture == "seed"
        return
    assert result[1].shape[1] == 2 * config.window_samples // config.frame_hop_samples


@pytest.mark.parametrize("architecture", ["rescnn", "fused", "slim", "fine in fused"])
@pytest.mark.parametrize("frame", [14, 24, 33])
def test_a_frame_is_of_its_own_time(architecture: str, frame: int) -> None:
    """Noise in one frame moves the CNN's frames around it, and no others."""
    torch.manual_seed(0)
    config = CONFIGS[architecture]
    network = build(config.as_dict()).network.eval()
    small = getattr(network, "small", network)
    quiet, hop = 0.1 * torch.randn(1, config.window_samples), config.frame_hop_samples
    loud, start = quiet.clone(), frame * hop
    loud[:, start : start + hop] += torch.randn(1, hop)
    with torch.no_grad():
        moved = (small(loud)[1] - small(quiet)[1]).abs()[0]
    centre = float((moved * torch.arange(len(moved))).sum() / moved.sum())
    assert abs(centre - frame) < 1.5


@pytest.mark.parametrize("frame", [20, 31, 44])
def test_the_cnns_longer_frames_count_at_their_time(frame: int) -> None:
    """Noise in one of the encoder's 64 frames moves what the CNN's 48 say around it."""
    torch.manual_seed(0)
    config = CONFIGS["two frames in fused"]
    network = build(config.as_dict()).network.eval()
    network.frame_weight.copy_(torch.tensor([0.0, 1.0]))
    quiet, hop = 0.1 * torch.randn(1, 2 * config.window_samples), config.frame_hop_samples
    loud, start = quiet.clone(), (64 + frame) * hop
    loud[:, start : start + hop] += torch.randn(1, hop)
    with torch.no_grad():
        moved = (network(loud)[1] - network(quiet)[1]).abs()[0]
    assert float(moved[:64].max()) < TOLERANCE  # the window before it
    centre = float((moved[64:] * torch.arange(64)).sum() / moved[64:].sum())
    assert abs(centre - frame) < 1.5


def test_windows_are_as_many_finer_frames() -> None:
    config, plain = configure("rescnn", {"frame_hop_samples": 512}), PRESETS["rescnn"]
    for own, other in (
        (config.window_samples, plain.window_samples),
        (config.hop_samples, plain.hop_samples),
    ):
        assert own / 512 == other / 640
    given = configure("encoder", {"frame_hop_samples": 512, "window_samples": 51_200})
    assert given.window_samples == 51_200
    with pytest.raises(TrainingError, match="multiple of 4"):
        configure("encoder", {"frame_hop_samples": 510})


def test_finer_frames_hear_the_same_columns_sooner() -> None:
    """The spectrum's columns lie closer together, each as before."""
    fine, plain = (build(CONFIGS[name].as_dict()).network.encoder.mel for name in ("fine in fused", "fused"))
    clip = 0.1 * torch.randn(1, 5 * 640)
    assert (fine.power.hop, plain.power.hop) == (128, 160)
    found, expected = fine(clip)[:, :, 5:15:5], plain(clip)[:, :, 4:12:4]
    # Less the first: each is relative to the loudest column of its own.
    torch.testing.assert_close(found - found[:, :, :1], expected - expected[:, :, :1], atol=1e-4, rtol=0)


def test_a_width_that_was_given_up_is_named() -> None:
    with pytest.raises(ValueError, match="'narrow' is not known; expected wide or slim"):
        build(TrainConfig(width="narrow").as_dict())


def test_calibration_is_part_of_the_graph(named: tuple[TrainConfig, Detector]) -> None:
    config, detector = named
    clip = torch.randn(1, config.window_samples) * 0.1
    raw = windows(detector, clip)
    detector.window_calibration.copy_(torch.tensor([2.0, -1.0]))
    assert torch.allclose(windows(detector, clip), 2 * raw - 1)
    detector.window_calibration.copy_(torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("full_rate", [-1, 0, 1, 2])
def test_layers_past_the_full_rate_see_half_the_tokens(full_rate: int) -> None:
    config = CONFIGS["halved"].as_dict() | {"full_rate": full_rate}
    encoder = models.encoder_of(build(config).network.eval())
    assert encoder is not None
    with torch.no_grad():
        states = encoder.states(torch.randn(1, ENCODER_WINDOW))
    halved = config["layers"] if full_rate < 0 else full_rate
    assert [state.shape[1] for state in states] == [96] * (1 + halved) + [48] * (config["layers"] - halved)


def test_statistics_are_means_then_deviations_of_every_state() -> None:
    states = [torch.randn(2, 96, 512), torch.randn(2, 48, 512)]
    expected = [x.mean(dim=1) for x in states] + [x.std(dim=1, correction=0) for x in states]
    found = Head(width=1024, frames=48, hidden=8).statistics(states)
    assert torch.allclose(found, torch.cat(expected, dim=1), atol=1e-5)


def test_a_third_statistic_is_the_size_of_the_steps_from_token_to_token() -> None:
    torch.manual_seed(0)
    states = [torch.randn(2, 96, 512), torch.randn(2, 48, 512).cumsum(dim=1)]
    found = Head(width=1024, frames=48, hidden=8, statistics=3).statistics(states)
    expected = [(x.diff(dim=1) ** 2).sum(dim=1).div(x.shape[1]).sqrt() for x in states]
    assert found.shape == (2, 3 * 1024)
    assert torch.allclose(found[:, 2048:], torch.cat(expected, dim=1), atol=1e-5)
    shuffled = [x[:, torch.randperm(x.shape[1])] for x in states]
    moved = Head(width=1024, frames=48, hidden=8, statistics=3).statistics(shuffled)
    assert torch.allclose(moved[:, :2048], found[:, :2048], atol=1e-4)  # which know no order
    assert (moved[:, 2560:] / found[:, 2560:]).median() > 2  # a walk's steps are small until it is shuffled


@pytest.mark.parametrize("level", [0.0, 100.0])
def test_a_large_value_that_hardly_varies_is_not_magnified(level: float) -> None:
    scale = Standardise(2)
    values = torch.tensor([100.0, 1.0]) + torch.randn(500, 2) * torch.tensor([1e-3, 1.0])
    scale.measure(values, torch.tensor([level, 0.0]))
    assert scale.deviation[0] > 100 / MOST_MAGNIFIED
    assert scale(values).std(dim=0)[1] == pytest.approx(1, rel=0.01)


def test_frames_are_means_of_the_tokens_in_them() -> None:
    head = Head(width=1024, frames=48, hidden=256)
    slow = torch.arange(48.0).reshape(1, 48, 1).expand(1, 48, 512)
    fast = slow.repeat_interleave(2, dim=1) + torch.tensor([-0.5, 0.5]).repeat(48).reshape(1, 96, 1)
    framed = head.framed([fast, slow])
    assert framed.shape == (1, 48, 1024)
    assert torch.allclose(framed[0], torch.arange(48.0)[:, None].expand(48, 1024))


def test_an_unknown_architecture_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"transformer.*expected"):
        build(PRESETS["rescnn"].as_dict() | {"architecture": "transformer"})
