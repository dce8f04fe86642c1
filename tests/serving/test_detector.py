"""Window scores are right, and the same alone, in any chunk and in any clip around them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.detection import judge
from serving.detector import Detector
from serving.errors import ModelError
from tests.serving.conftest import (
    FRAME,
    HOP,
    MANIFEST,
    SAMPLE_RATE,
    WINDOW,
    loudness_llr,
    noise,
    spoken,
    write_model,
)


def test_a_window_scores_what_its_loudness_says(detector: Detector) -> None:
    clip = noise(2.25)
    scores = detector.score([clip])
    expected = [loudness_llr(clip[start : start + WINDOW]) for start in scores.window_starts]
    np.testing.assert_allclose(scores.window_llr, expected, atol=1e-4)
    assert scores.window_llr.dtype == np.float32
    assert scores.frame_llr is None


@pytest.mark.parametrize(
    ("samples", "windows"),
    [(WINDOW - 1, 1), (WINDOW, 1), (WINDOW + 1, 2), (2 * WINDOW, 5), (2 * WINDOW + 7, 6), (0, 0)],
)
def test_window_counts_at_the_edges(detector: Detector, samples: int, windows: int) -> None:
    scores = detector.score([noise(3)[:samples]])
    assert len(scores.window_starts) == len(scores.window_llr) == windows
    assert scores.total_samples == samples


def test_the_last_full_window_is_kept(detector: Detector) -> None:
    clip = np.concatenate([np.zeros(2 * WINDOW, np.float32), noise(HOP / 2 / 16_000, rms=0.5)])
    scores = detector.score([clip])
    assert scores.window_starts[-1] == len(clip) - WINDOW
    assert scores.window_llr[-1] == pytest.approx(loudness_llr(clip[-WINDOW:]), abs=1e-4)
    assert scores.window_llr[-1] > scores.window_llr[:-1].max() + 1


def test_threads_change_no_score(model_path: Path, detector: Detector) -> None:
    clip = noise(60) * np.linspace(0.1, 2, 960_000, dtype=np.float32)
    alone, together = detector.score([clip]), Detector.open(model_path, threads=3).score([clip])
    np.testing.assert_array_equal(alone.window_llr, together.window_llr)
    np.testing.assert_array_equal(alone.window_starts, together.window_starts)


@given(
    seconds=st.floats(1, 12),
    block=st.integers(1_000, 90_000),
    most=st.integers(1, 20),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_score_is_the_same_alone_in_a_chunk_and_inside_a_longer_clip(
    detector: Detector, seconds: float, block: int, most: int, seed: int
) -> None:
    clip = noise(seconds, seed) * np.linspace(0.1, 2, round(seconds * 16_000), dtype=np.float32)
    scores = detector.score((clip[at : at + block] for at in range(0, len(clip), block)), max_windows=most)
    whole = detector.score([clip], max_windows=1_000)
    np.testing.assert_allclose(scores.window_llr, whole.window_llr, atol=1e-4)
    np.testing.assert_array_equal(scores.window_starts, whole.window_starts)
    for start, llr in list(zip(scores.window_starts, scores.window_llr, strict=True))[
        :: max(1, len(scores.window_llr) // 5)
    ]:
        alone = detector.score([clip[start : start + WINDOW]])
        assert alone.window_llr[0] == pytest.approx(llr, abs=1e-4)


def test_a_graph_that_takes_one_row_alone_is_found_when_it_is_opened(tmp_path: Path) -> None:
    path = write_model(tmp_path / "one.onnx", replace(MANIFEST, hop_samples=WINDOW))
    model = onnx.load(path)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    batch.ClearField("dim_param")
    batch.dim_value = 1
    onnx.save(model, path)
    with pytest.raises(ModelError, match="graph fails on"):
        Detector.open(path)


def test_a_short_clip_is_scored_as_its_repetition(detector: Detector) -> None:
    clip = noise(0.6)
    scores = detector.score([clip])
    assert scores.window_llr[0] == pytest.approx(loudness_llr(np.resize(clip, WINDOW)), abs=1e-4)


def test_the_callers_array_is_unchanged(detector: Detector) -> None:
    for seconds in (0.5, 1, 9.99):
        clip = noise(seconds)
        before = clip.copy()
        clip.flags.writeable = False
        detector.score([clip])
        np.testing.assert_array_equal(clip, before)


def test_frames_of_all_chunks_make_one_row(frame_detector: Detector) -> None:
    clip = noise(7.33) * np.linspace(0.1, 2, len(noise(7.33)), dtype=np.float32)
    for most in (1, 3, 1_000):
        scores = frame_detector.score([clip], max_windows=most)
        assert scores.frame_llr is not None
        whole = len(clip) // FRAME
        assert len(scores.frame_llr) in (whole, whole + 1)
        expected = [loudness_llr(clip[at * FRAME : (at + 1) * FRAME]) for at in range(whole)]
        np.testing.assert_allclose(scores.frame_llr[: whole - 6], expected[: whole - 6], atol=1e-4)


def test_frames_of_a_short_clip_end_with_the_clip(frame_detector: Detector) -> None:
    scores = frame_detector.score([noise(0.6)])
    assert scores.frame_llr is not None
    assert len(scores.frame_llr) == 12


def test_the_graph_is_called_once_a_chunk(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Detector.open(model_path)
    calls = []
    real = counting._session
    monkeypatch.setattr(
        counting,
        "_session",
        type("Counted", (), {"run": lambda _, *a: calls.append(a[1]["waveform"].shape) or real.run(*a)})(),
    )
    scores = counting.score([noise(61)], max_windows=16)
    assert len(scores.window_llr) == 241
    assert len(calls) == 16  # ceil(241 / 16)
    assert max(shape[1] for shape in calls) == WINDOW + 15 * HOP


def test_a_wrong_hash_is_refused(model_path: Path) -> None:
    with pytest.raises(ModelError, match="expected 00"):
        Detector.open(model_path, expected_sha256="00" * 32)
    opened = Detector.open(model_path)
    assert Detector.open(model_path, expected_sha256=opened.sha256).sha256 == opened.sha256
    assert opened.size == model_path.stat().st_size


def test_bad_model_files_are_named(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.onnx"
    rubbish.write_bytes(b"not a model")
    with pytest.raises(ModelError, match="can't be read"):
        Detector.open(tmp_path / "missing.onnx")
    with pytest.raises(ModelError, match="not a model"):
        Detector.open(rubbish)
    with pytest.raises(ModelError, match="Manifest is not JSON"):
        Detector.open(write_model(tmp_path / "text.onnx", text="hello"))


def test_a_manifest_of_another_graph_is_refused(tmp_path: Path) -> None:
    other_hop = replace(MANIFEST, hop_samples=HOP // 2).to_json()
    with pytest.raises(ModelError, match="windows for"):
        Detector.open(write_model(tmp_path / "hop.onnx", text=other_hop))
    with_frames = replace(MANIFEST, frame_hop_samples=FRAME).to_json()
    with pytest.raises(ModelError, match="frame_llr"):
        Detector.open(write_model(tmp_path / "frames.onnx", text=with_frames))


def test_a_score_that_is_not_finite_is_an_error(detector: Detector) -> None:
    with pytest.raises(ModelError, match="not finite"):
        detector.score([np.full(WINDOW, np.nan, np.float32)])


def test_novelty_is_given_by_window_where_the_model_has_it(detector: Detector, tmp_path: Path) -> None:
    telling = Detector.open(write_model(tmp_path / "telling.onnx", novelty=True))
    samples = noise(5.3)
    scores = telling.score([samples], max_windows=2)
    assert scores.novelty is not None
    assert np.array_equal(scores.novelty, scores.window_llr)  # in this model they are the same
    assert detector.score([samples]).novelty is None


def test_sections_are_told_where_the_model_tells_origins(detector: Detector, tmp_path: Path) -> None:
    manifest = replace(MANIFEST, hop_samples=WINDOW, frame_hop_samples=FRAME)
    telling = Detector.open(write_model(tmp_path / "telling.onnx", manifest, origin=True))
    # In this model a frame's origin is its loudness: quiet, loud for a second, quiet.
    parts = [(2.7, 0.01), (1.0, 0.3), (1.9, 0.01)]
    clip = np.concatenate([noise(seconds, seed, rms) for seed, (seconds, rms) in enumerate(parts)])
    found = [telling.score([clip], max_windows=most).sections for most in (1, 2, 6)]
    for sections in found:
        assert sections is not None
        np.testing.assert_array_equal(sections.llr, found[0].llr)  # type: ignore[union-attr]
        edges = np.cumsum(sections.frames) * FRAME / SAMPLE_RATE
        np.testing.assert_allclose(edges, np.cumsum([seconds for seconds, _ in parts]), atol=0.1)
        expected = [loudness_llr(noise(3, 0, rms)) for _, rms in parts]
        np.testing.assert_allclose(sections.llr, expected, atol=0.7)
    assert detector.score([clip]).sections is None
    assert telling.score([clip[:0]]).sections is None


def test_a_verdict_on_novel_sound_carries_a_note(detector: Detector, tmp_path: Path) -> None:
    telling = Detector.open(write_model(tmp_path / "telling.onnx", novelty=True))
    loud, quiet = spoken(3), spoken(3, rms=0.05)
    assert [note.code for note in judge([loud], telling)[2]] == ["unlike_training"]
    assert judge([quiet], telling)[2] == judge([loud], detector)[2] == []


def test_a_graph_that_cannot_take_a_window_is_no_model(tmp_path: Path) -> None:
    """It loads, but its input has a fixed length: only the first call shows it."""
    path = write_model(tmp_path / "fixed.onnx")
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = WINDOW // 2
    onnx.save(model, path)
    with pytest.raises(ModelError, match="The graph fails on"):
        Detector.open(path)
