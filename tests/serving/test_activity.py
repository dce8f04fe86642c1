"""Where a clip has speech: silence does not count, however long it is and whatever the graph says of it."""

import io

import numpy as np
import pytest
import soundfile
from flask.testing import FlaskClient

from serving.activity import FRAME_SAMPLES, Activity, LevelMeter, mean
from serving.audio import SAMPLE_RATE
from serving.detector import Scores
from tests.serving.conftest import WINDOW, loudness_llr, noise

SILENCES = {"digital": 0.0, "recorded": 1e-4}  # RMS


def activity(samples: np.ndarray, block: int = 7_001) -> Activity:
    meter = LevelMeter()
    for at in range(0, len(samples), block):
        meter.add(samples[at : at + block])
    return meter.activity()


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Loud and half as loud by turns of a tenth of a second: in every window alike."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (noise(seconds, seed=seed) * np.where(time % 0.2 < 0.1, 1.0, 0.2)).astype(np.float32)


def with_pause(rms: float, seconds: float = 4.0) -> np.ndarray:
    return np.concatenate([speech(2), noise(seconds, rms=rms, seed=1), speech(2, seed=2)])


@pytest.mark.parametrize("rms", SILENCES.values(), ids=SILENCES)
def test_a_pause_is_no_speech_and_what_surrounds_it_is(rms: float) -> None:
    found = activity(with_pause(rms))
    starts = np.array([0, 2, 4, 6]) * SAMPLE_RATE
    np.testing.assert_allclose(found.within(starts, starts + 2 * SAMPLE_RATE), [1, 0, 0, 1], atol=0.02)
    assert found.share == pytest.approx(0.5, abs=0.02)


def test_shares_are_those_of_the_samples() -> None:
    rng = np.random.default_rng(0)
    found = Activity(rng.random(90) < 0.4)
    mask = np.append(np.repeat(found.speech, FRAME_SAMPLES), np.zeros(500, bool))  # and a rest below a frame
    starts = rng.integers(0, len(mask) - 1, 300)
    ends = np.minimum(starts + rng.integers(1, 9_000, 300), len(mask))
    expected = [mask[start:end].mean() for start, end in zip(starts, ends, strict=True)]
    np.testing.assert_allclose(found.within(starts, ends), expected, atol=1e-12)


def test_without_any_speech_every_stretch_counts_alike() -> None:
    for found in (activity(noise(3)), activity(np.zeros(100, np.float32))):
        assert found.share == 0
        np.testing.assert_array_equal(found.within(np.array([0, 50]), np.array([50, 90])), [1, 1])


def test_neither_the_level_nor_how_blocks_were_cut_matters() -> None:
    clip = with_pause(1e-4)
    whole = activity(clip, len(clip)).speech
    np.testing.assert_array_equal(activity(clip, 333).speech, whole)
    np.testing.assert_array_equal(activity(clip / 8).speech, whole)


def test_a_mean_by_weights_is_a_plain_one_where_nothing_weighs() -> None:
    values = np.array([1, 5], np.float32)
    assert mean(values, np.array([3.0, 1.0])) == 2
    assert mean(values, np.zeros(2)) == 3


def test_silence_does_not_make_a_clip_unlike_the_training_data() -> None:
    llr, novelty = np.zeros(3, np.float32), np.array([0.5, 0.7, 9.0], np.float32)
    silent_end = Activity(np.array([True, True, False]))
    scores = Scores(np.arange(3), llr, None, np.array([1.0, 1.0, 0.0]), silent_end, 3, novelty)
    assert scores.clip_novelty == pytest.approx(0.6)


def detected(client: FlaskClient, samples: np.ndarray) -> dict[str, object]:
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    answer = client.post("/api/detect", data=file.getvalue(), content_type="audio/wav")
    assert answer.status_code == 200
    found: dict[str, object] = answer.get_json()
    return found


@pytest.mark.parametrize("rms", SILENCES.values(), ids=SILENCES)
@pytest.mark.parametrize("where", ["before", "between", "after"])
def test_silence_moves_no_score(client: FlaskClient, where: str, rms: float) -> None:
    """The graph says of silence what no speech is ever given; pauses are whole windows."""
    assert loudness_llr(np.zeros(WINDOW, np.float32)) < -25
    one, other, pause = speech(2), speech(2, seed=2), noise(6, rms=rms, seed=1)
    order = {"before": (pause, one, other), "between": (one, pause, other), "after": (one, other, pause)}
    alone, found = (detected(client, np.concatenate(row)) for row in ((one, other), order[where]))
    assert found["llr"] == pytest.approx(alone["llr"], abs=0.5)
    assert found["verdict"] == alone["verdict"] == "fake"


def test_the_score_is_the_mean_of_the_windows_by_their_weights(client: FlaskClient) -> None:
    found = detected(client, with_pause(1e-4, 1.3))
    llr, weight = (np.array([row[name] for row in found["windows"]]) for name in ("llr", "weight"))  # type: ignore[attr-defined]
    assert weight.min() < 0.2 and weight.max() > 0.9
    assert found["llr"] == pytest.approx((llr * weight).sum() / weight.sum(), abs=1e-3)
