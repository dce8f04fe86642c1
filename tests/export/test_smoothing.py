"""Norms and products share the spread of channels: the same scores in floats, nearer ones in integers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from export import int8
from export.parity import difference, probe_clips
from export.smoothing import smooth
from export.to_onnx import trace
from training.config import ENCODER_WINDOW, PRESETS
from training.models import build, rounded  # by name: the suite puts tiny ones in place of models.build

WINDOW = ENCODER_WINDOW
CLIPS = [clip[:WINDOW] for clip in probe_clips(WINDOW, WINDOW)]


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """An encoder whose norms make some channels a thousand times larger than others, as Whisper's do."""
    torch.manual_seed(0)
    detector = build(PRESETS["encoder"].as_dict() | {"layers": 1}).eval()
    layer = detector.network.trunk.layers[0]
    with torch.no_grad():
        for norm, product in ((layer.attention_norm, layer.qkv), (layer.mlp_norm, layer.up)):
            spread = 10 ** torch.empty_like(norm.weight).uniform_(-1.5, 1.5)
            norm.weight.copy_(spread)
            norm.bias.uniform_(-0.1, 0.1)  # export would merge those that are alike
            product.weight.div_(spread)
    detector.window_calibration.copy_(torch.tensor([30.0, 0.0]))
    return rounded(detector)


@pytest.fixture(scope="module")
def exact(network: torch.nn.Module) -> bytes:
    content: bytes = trace(network, WINDOW, WINDOW).SerializeToString()
    return content


def products(graph: onnx.ModelProto) -> list[str]:
    return [node.name for node in graph.graph.node if node.op_type == "MatMul" and "/trunk/" in node.name]


def test_floats_say_the_same(network: torch.nn.Module, exact: bytes) -> None:
    graph = onnx.load_from_string(exact)
    int8.widen(graph)
    before = graph.SerializeToString()
    smooth(graph, products(graph), CLIPS)
    assert graph.SerializeToString() != before
    assert difference(network, graph.SerializeToString(), probe_clips(WINDOW, WINDOW, seed=1)).largest < 1e-3


def test_integers_are_nearer(network: torch.nn.Module, exact: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = probe_clips(WINDOW, WINDOW, seed=1)
    shared = difference(network, int8.quantised(exact, CLIPS), clips).mean
    monkeypatch.setattr(int8, "smooth", lambda *_: None)
    assert shared < 0.5 * difference(network, int8.quantised(exact, CLIPS), clips).mean


def test_norms_that_share_their_weights_stay() -> None:
    """What one of them gives would change with the other's."""
    torch.manual_seed(0)
    graph = trace(build(PRESETS["encoder"].as_dict() | {"layers": 1}).eval(), WINDOW, WINDOW)
    int8.widen(graph)
    before = graph.SerializeToString()
    smooth(graph, products(graph), CLIPS)
    assert graph.SerializeToString() == before


def test_a_channel_that_is_never_heard_stays_finite(network: torch.nn.Module) -> None:
    silent = network.network.trunk.layers[0].mlp_norm
    with torch.no_grad():
        kept = silent.weight[0].clone(), silent.bias[0].clone()
        silent.weight[0] = silent.bias[0] = 0.0
        graph = trace(network, WINDOW, WINDOW)
        silent.weight[0], silent.bias[0] = kept
    int8.widen(graph)
    smooth(graph, products(graph), CLIPS)
    weights = [onnx.numpy_helper.to_array(entry) for entry in graph.graph.initializer]
    assert all(np.isfinite(values).all() for values in weights)
