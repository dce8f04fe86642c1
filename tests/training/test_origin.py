"""Stretches of one recording lie together and those of others apart, at a distance that means the same for
every model.
"""

import numpy as np
import pytest
import torch

from training import apart
from training.apart import STRETCH, Track, distances, fit, two_of
from training.config import ENCODER_WINDOW, FRAME_HOP, TrainConfig, TrainingError
from training.metrics import eer
from training.models import Detector, build
from training.origin import contrast, even_distance

WIDTH = 24


def recordings(count: int, seed: int) -> list[Track]:
    """Frames that say much of what is spoken, along half of the dimensions, and a little of who speaks."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        voice = np.concatenate([np.zeros(WIDTH // 2), rng.normal(0, 1, WIDTH // 2)])
        spoken = np.concatenate(
            [rng.normal(0, 5, (80, WIDTH // 2)), rng.normal(0, 0.5, (80, WIDTH // 2))], axis=1
        )
        rows.append(Track((voice + spoken).astype(np.float16), f"page {number % 6}", f"voice {number}"))
    return rows


def test_what_is_learnt_tells_new_recordings_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "STEPS", 60)
    told: list[int] = []
    origin = fit(recordings(120, 0), 0, lambda loss, step: told.append(step))
    distance, other = distances(origin, recordings(60, 1), 0)
    assert eer(distance, other) < 0.1
    origin.scale_to(even_distance(distance, other))
    distance, other = distances(origin, recordings(60, 2), 0)
    one_above, two_below = (distance[~other] >= 1).mean(), (distance[other] < 1).mean()
    assert abs(one_above - two_below) < 0.05
    assert told == [50]


def test_clips_of_one_kind_are_not_asked_to_lie_apart() -> None:
    draw = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 4, 3, generator=draw).unbind()
    together = torch.cat([first, first[:1]]), torch.cat([second, second[:1]])
    kinds = ["a", "b", "c", "d"]
    as_own, as_other = (contrast(*together, [*kinds, fifth]) for fifth in ("a", "e"))
    assert as_own < as_other


@pytest.mark.parametrize("count", [*range(2 * STRETCH[0], 40), 200])
def test_two_stretches_share_no_frame(count: int) -> None:
    rng = np.random.default_rng(count)
    for _ in range(50):
        first, second = two_of(count, rng)
        assert first.start >= 0 and first.stop <= second.start and second.stop <= count
        for stretch in (first, second):
            assert STRETCH[0] <= stretch.stop - stretch.start < STRETCH[1]


@pytest.fixture(scope="module")
def pair() -> tuple[Detector, Detector]:
    """An untrained encoder with novelty, without and with origins."""
    torch.manual_seed(0)
    settings = {"architecture": "encoder", "hop_samples": ENCODER_WINDOW, "novelty": 3}
    without, telling = (build(TrainConfig(**settings, origin=numbers).as_dict()).eval() for numbers in (0, 8))
    telling.load_state_dict(without.state_dict(), strict=False)
    return without, telling


def test_the_detector_gives_one_a_frame_and_the_same_llrs_as_without(pair: tuple[Detector, Detector]) -> None:
    clip = torch.randn(2, 3 * ENCODER_WINDOW) * 0.1
    with torch.no_grad():
        window, frame, novelty = pair[0](clip)
        found = pair[1](clip)
    for one, other in zip(found, (window, frame, novelty), strict=False):
        assert torch.equal(one, other)
    assert found[3].shape == (*frame.shape, 8)


def test_a_frame_has_the_origin_that_its_window_alone_gives_it(pair: tuple[Detector, Detector]) -> None:
    clip = torch.randn(1, 2 * ENCODER_WINDOW) * 0.1
    encoder = pair[1].network
    with torch.no_grad():
        whole, alone = pair[1](clip)[3], pair[1](clip[:, ENCODER_WINDOW:])[3]
        sounds = encoder.sound(clip), encoder.heard(clip).sound
    torch.testing.assert_close(whole[:, 48:], alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(*sounds, atol=1e-4, rtol=1e-4)  # with and without the layers


def test_training_rules_spans_on_a_curve_of_every_frame(pair: tuple[Detector, Detector]) -> None:
    config = TrainConfig(architecture="encoder", hop_samples=ENCODER_WINDOW, novelty=3, origin=8)
    for samples in (20_000, 71_680):
        clip = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
        strength = apart.evidence_of(pair[1], clip, config)
        assert strength.shape == (-(-samples // FRAME_HOP),)
        with torch.no_grad():
            llr = pair[1](torch.from_numpy(np.resize(clip, ENCODER_WINDOW))[None])[0][0, 0]
        np.testing.assert_allclose(strength, float(llr), atol=0.5)  # untrained, it says about the same of all


def test_a_run_without_novelty_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = build(TrainConfig(architecture="rescnn").as_dict())
    content = {"config": TrainConfig(architecture="rescnn").as_dict(), "model": detector.state_dict()}
    monkeypatch.setattr(apart, "checkpoint", lambda run: content)
    with pytest.raises(TrainingError, match="familiar"):
        apart.run("plain", None, "apart", 0)  # type: ignore[arg-type]
