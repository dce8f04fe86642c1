"""The guard against slow changes that no clock is needed for: work is counted, not timed."""

import gc
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from bench import flops
from export.to_onnx import trace
from serving.audio import SAMPLE_RATE, stream
from serving.detection import detect
from serving.detector import Detector, windows_a_call
from serving.models import BUNDLE
from tests.serving.conftest import FRAME, HOP, MANIFEST, WINDOW, encode, loudness_llr, noise, write_model
from training import models
from training.config import PRESETS

ROOT = BUNDLE.parents[2]
CLIP_SAMPLES = 10 * SAMPLE_RATE
# Most for 10 s, the encoder with three layers, the last at half the tokens; what the shipped ones take is in
# docs/performance.md.
GIGAFLOPS = {"rescnn": 2.93, "slim": 1.27, "encoder": 9.1}
SHIPPED_GIGAFLOPS = 16.0  # six whole windows of 1.54 s; serving adds one for the tail


class Counting:
    """A session that counts its calls and the samples that it is given."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.calls = 0
        self.samples = 0

    def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> Any:
        self.calls += 1
        self.samples += inputs["waveform"].size
        return self._session.run(outputs, inputs)


@pytest.fixture
def counting(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> Counting:
    counted = Counting(detector._session)
    monkeypatch.setattr(detector, "_session", counted)
    return counted


def blocks(seconds: float) -> Iterator[np.ndarray]:
    with stream(encode(noise(seconds))) as clip:
        yield from clip


@pytest.mark.parametrize("seconds", [0.6, 1.0, 10.0, 10.1, 60.0])
def test_a_clip_takes_one_call_a_chunk_and_one_for_its_tail(
    seconds: float, detector: Detector, counting: Counting
) -> None:
    windows = len(detector.score(blocks(seconds)).window_llr)
    whole = 1 + max(0, round(seconds * SAMPLE_RATE) - WINDOW) // HOP
    tail = windows - whole
    assert tail in (0, 1)
    assert counting.calls == -(-whole // windows_a_call(detector.manifest)) + tail


@pytest.mark.parametrize(("seconds", "calls"), [(1.0, 1), (4.0, 1), (3.3, 1), (4.3, 2), (8.5, 3)])
@pytest.mark.parametrize("threads", [1, 2])
def test_windows_side_by_side_share_calls_with_the_tail_and_score_as_alone(
    seconds: float, calls: int, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most four a call here; each window and frame as the loudness of its own samples."""
    manifest = replace(MANIFEST, hop_samples=WINDOW, frame_hop_samples=FRAME)
    opened = Detector.open(write_model(tmp_path / "side.onnx", manifest), threads)
    counting = Counting(opened._session)
    monkeypatch.setattr(opened, "_session", counting)
    clip = noise(seconds) * np.linspace(0.1, 2, round(seconds * SAMPLE_RATE), dtype=np.float32)
    scores = opened.score([clip], max_windows=4)
    assert counting.calls == calls
    alone = [loudness_llr(clip[start : start + WINDOW]) for start in scores.window_starts]
    np.testing.assert_allclose(scores.window_llr, alone, atol=1e-4)
    assert scores.window_starts[-1] + WINDOW == len(clip)
    frames = [loudness_llr(clip[start : start + FRAME]) for start in range(0, len(clip), FRAME)]
    np.testing.assert_allclose(scores.frame_llr, frames, atol=1e-3)


@pytest.mark.parametrize(("seconds", "calls"), [(0.6, 1), (3.0, 1), (3.1, 2), (6.0, 2), (7.1, 3)])
def test_three_windows_side_by_side_share_a_call(
    seconds: float, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = replace(MANIFEST, hop_samples=WINDOW)
    opened = Detector.open(write_model(tmp_path / "side.onnx", manifest))
    counting = Counting(opened._session)
    monkeypatch.setattr(opened, "_session", counting)
    opened.score(blocks(seconds))
    assert counting.calls == calls


def test_overlap_is_computed_once_within_a_chunk(detector: Detector, counting: Counting) -> None:
    """Windows of 1 s every 0.25 s: given one by one they would be four times the clip."""
    detector.score(blocks(60.0))
    chunks = counting.calls
    assert counting.samples <= 60 * SAMPLE_RATE + chunks * WINDOW


@pytest.mark.parametrize("architecture", sorted(GIGAFLOPS))
def test_the_graph_computes_no_more_than_it_did(architecture: str, tmp_path: Path) -> None:
    slim = replace(PRESETS["rescnn"], width="slim")
    config, model = (PRESETS | {"slim": slim})[architecture], tmp_path / "model.onnx"
    detector = models.build(config.as_dict()).eval()
    onnx.save(trace(detector, config.window_samples, config.hop_samples), model)
    assert flops.total(model, CLIP_SAMPLES) / 1e9 <= GIGAFLOPS[architecture]


def test_layers_compute_no_sizes_and_no_powers() -> None:
    """Tokens and widths are known when a graph is made; worked out clip by clip they were half its nodes."""
    found = []
    for layers in (1, 3):
        config = replace(PRESETS["encoder"], size="tiny", layers=layers, statistics=3)
        detector = models.build(config.as_dict()).eval()
        nodes = trace(detector, config.window_samples, config.hop_samples).graph.node
        found.append(Counter(node.op_type for node in nodes))
    assert found[1]["Shape"] == found[0]["Shape"]
    assert not found[1]["Pow"]
    assert found[1]["MatMul"] > found[0]["MatMul"]


@pytest.mark.skipif(not BUNDLE.exists(), reason="no model is shipped")
def test_the_shipped_graph_costs_no_more_than_it_did() -> None:
    assert flops.total(BUNDLE, CLIP_SAMPLES) / 1e9 <= SHIPPED_GIGAFLOPS


def test_memory_of_python_does_not_grow_with_the_clip(detector: Detector) -> None:
    detect_peak(detector, 5.0)  # caches of the first call
    short, long = detect_peak(detector, 60.0), detect_peak(detector, 600.0)
    answer = 600 * 8 * 200  # windows and map of the answer itself, bytes
    assert long <= short + answer


def detect_peak(detector: Detector, seconds: float) -> int:
    """Most bytes that Python and numpy held at once while a clip was scored."""
    clip = encode(noise(seconds))
    tracemalloc.start()
    try:
        with stream(clip) as opened:
            detect(opened, detector)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_objects_left_after_a_clip_do_not_add_up(detector: Detector) -> None:
    clip = encode(noise(10.0))

    def blocks_kept() -> int:
        """Living blocks of memory that serving's own lines allocated, once a clip is done."""
        with stream(clip) as opened:
            detect(opened, detector)
        gc.collect()
        found = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, f"{ROOT}/serving/*")])
        return sum(statistic.count for statistic in found.statistics("filename"))

    tracemalloc.start()
    try:
        counts = [blocks_kept() for _ in range(7)]
    finally:
        tracemalloc.stop()
    assert counts[-1] <= counts[1] + 20


@pytest.mark.parametrize(("loud_s", "asked"), [(0.0, 0), (1.0, 3), (3.0, 4)])
def test_only_parts_of_windows_that_hear_two_origins_are_heard_again(
    loud_s: float, asked: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the loudness is the origin; both ends of what is loud lie inside windows, two parts in each, but a
    second of it is one part.
    """
    manifest = replace(MANIFEST, hop_samples=WINDOW, frame_hop_samples=FRAME)
    opened = Detector.open(write_model(tmp_path / "telling.onnx", manifest, origin=True))
    counting = Counting(opened._session)
    monkeypatch.setattr(opened, "_session", counting)
    clip = noise(6, rms=0.01)
    start = round(1.5 * SAMPLE_RATE)
    clip[start : start + round(loud_s * SAMPLE_RATE)] *= 30
    opened.score([clip])
    assert counting.samples == (6 + asked) * WINDOW
