"""A file in integers is smaller, near its float form, as indifferent to neighbours, and says what it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import torch

from export import int8
from export.graph import JOINED, context_difference, is_quantised, open_session
from export.int8 import KINDS, calibration, floated, part, quantised, shortened
from export.parity import difference, probe_clips
from export.sums import are_short, products
from export.to_onnx import ExportError, manifest_of, stamp, trace
from serving.audio import SAMPLE_RATE
from serving.detector import WINDOWS
from serving.models import BUNDLE
from serving.session import ENDING, SHORT_SUMS, options
from tests.export import tiny
from training import models
from training.config import ENCODER_WINDOW, PRESETS
from training.datasets import Clip

WINDOW = ENCODER_WINDOW
WINDOWS_HEARD = [clip[:WINDOW] for clip in probe_clips(WINDOW, WINDOW)]


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """An encoder of random weights, its scores spread over some units."""
    torch.manual_seed(0)
    detector = models.build(PRESETS["encoder"].as_dict() | {"layers": 1}).eval()
    models.rounded(detector.network)
    detector.window_calibration.copy_(torch.tensor([30.0, 0.0]))
    return detector


@pytest.fixture(scope="module")
def exact(network: torch.nn.Module) -> bytes:
    return trace(network, WINDOW, WINDOW).SerializeToString()


@pytest.fixture(scope="module")
def small(exact: bytes) -> bytes:
    return quantised(exact, WINDOWS_HEARD)


def test_integers_halve_the_file_and_keep_the_scores(
    network: torch.nn.Module, exact: bytes, small: bytes
) -> None:
    assert is_quantised(small) and not is_quantised(exact)
    assert len(small) < 0.65 * len(exact)
    clips = probe_clips(WINDOW, WINDOW, seed=1)
    assert 1e-5 < difference(network, small, clips).mean < 5e-3
    assert difference(network, exact, clips).largest < 1e-4


def test_a_window_in_integers_is_scored_alike_alone_and_in_company(small: bytes) -> None:
    assert context_difference(small, WINDOW, WINDOW, probe_clips(WINDOW, WINDOW)[-2:]) <= 1e-5


def test_floats_again_are_nearer_than_integers(network: torch.nn.Module, small: bytes) -> None:
    again = floated(small)
    assert not is_quantised(again)
    clips = probe_clips(WINDOW, WINDOW, seed=1)
    assert difference(network, again, clips).mean < difference(network, small, clips).mean


def test_spectrum_last_layers_and_attention_stay_float(small: bytes) -> None:
    graph = onnx.load_from_string(small).graph
    integers = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    fed = [
        n
        for n in graph.node
        if n.op_type == JOINED or (n.op_type in KINDS and integers.intersection(n.input))
    ]
    products = Counter(node.op_type for node in fed)
    # Two convolutions, queries, keys, values, the layer's three others and the frames' first; the windows'.
    assert products == {JOINED: 9, "Gemm": 1}
    assert all("/trunk/" in node.name or "/head/" in node.name for node in fed)


def test_a_product_and_its_bias_are_one_node_and_two_again(small: bytes) -> None:
    """Nothing is left between them, and floats have every bias where it was."""
    graph = onnx.load_from_string(small).graph
    told = {name for node in graph.node if node.op_type == JOINED for name in node.output}
    biased = [node.name for node in graph.node if node.op_type == "Add" and told.intersection(node.input)]
    assert biased == ["/network/trunk/layers.0/Add", "/network/trunk/layers.0/Add_1"]  # around the layer
    again = onnx.load_from_string(floated(small)).graph
    stored = {entry.name for entry in again.initializer}
    added = [n.name for n in again.node if n.op_type == "Add" and stored.intersection(n.input)]
    assert sum("/trunk/layers.0/" in name for name in added) == 6


def test_sums_are_short_and_the_file_says_so(small: bytes) -> None:
    graph = onnx.load_from_string(small)
    assert small.endswith(ENDING) and stamp(graph, tiny.manifest()).endswith(ENDING)
    assert {entry.key: entry.value for entry in graph.metadata_props} == {
        "manifest": tiny.manifest().to_json(),
        **dict([SHORT_SUMS]),
    }
    part(graph)
    assert are_short(graph) and len(list(products(graph))) == 10


def test_a_file_from_before_is_given_short_sums(
    network: torch.nn.Module, exact: bytes, small: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "shorten", lambda *_: None)
    long = quantised(exact, WINDOWS_HEARD)
    graph = onnx.load_from_string(long)
    part(graph)
    assert not are_short(graph)
    monkeypatch.undo()
    again = shortened(long, WINDOWS_HEARD)
    graph = onnx.load_from_string(again)
    part(graph)
    assert are_short(graph) and again.endswith(ENDING) and len(again) == len(small)
    clips = probe_clips(WINDOW, WINDOW, seed=1)
    assert difference(network, again, clips).mean < 1.5 * difference(network, long, clips).mean


def test_a_file_of_floats_has_no_sums_to_shorten(exact: bytes) -> None:
    with pytest.raises(ExportError, match="no weights in integers"):
        shortened(exact, WINDOWS_HEARD)


def test_without_clips_no_sum_is_shortened(small: bytes) -> None:
    with pytest.raises(ExportError, match="no clip to round them by"):
        shortened(small, [])


def test_a_graph_without_an_encoder_is_refused() -> None:
    model = trace(tiny.Tiny(2.0, -4.0), tiny.WINDOW_SAMPLES, tiny.HOP_SAMPLES).SerializeToString()
    with pytest.raises(ExportError, match="no encoder"):
        quantised(model, [np.zeros(tiny.WINDOW_SAMPLES, np.float32)])


def test_without_clips_it_is_refused(exact: bytes) -> None:
    with pytest.raises(ExportError, match="no clip"):
        quantised(exact, [])


def test_scales_are_measured_on_whole_windows_of_readable_clips(tmp_path: Path) -> None:
    clips = []
    for name, seconds in (("long", 2.5), ("short", 1.0), ("other", 2.0)):
        path = tmp_path / f"{name}.flac"
        soundfile.write(
            path, np.random.default_rng(0).normal(0, 0.1, int(seconds * SAMPLE_RATE)), SAMPLE_RATE
        )
        clips.append(Clip(path, "bonafide", "-", "unknown", "here", "train"))
    (tmp_path / "broken.flac").write_bytes(b"no audio")
    clips.append(Clip(tmp_path / "broken.flac", "spoof", "-", "unknown", "here", "train"))
    assert [len(window) for window in calibration(clips, WINDOW)] == [WINDOW, WINDOW]


SHIPPED_IN_INTEGERS = BUNDLE.exists() and is_quantised(BUNDLE.read_bytes())


@pytest.mark.skipif(not SHIPPED_IN_INTEGERS, reason="no model in integers is shipped")
def test_the_shipped_model_says_what_its_integers_say() -> None:
    """Against the same integers multiplied as floats, which no processor cuts off: what is left is rounding
    at the edge between two of them.
    """
    graph = onnx.load(BUNDLE)
    part(graph)
    plain = options(b"")
    plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    floats = onnxruntime.InferenceSession(graph.SerializeToString(), plain)
    manifest = manifest_of(graph)
    clips = probe_clips(manifest.window_samples, manifest.hop_samples)
    served, expected = (
        np.concatenate([session.run([WINDOWS], {"waveform": clip[None]})[0][0] for clip in clips])
        for session in (open_session(BUNDLE.read_bytes()), floats)
    )
    assert np.abs(served - expected).mean() < 0.1
