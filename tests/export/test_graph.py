"""What a graph says of one window may not depend on another, its frames' origins included."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from export.graph import context_difference, finite_on_extremes
from tests.serving.conftest import FRAME, MANIFEST, WINDOW, noise, write_model

SIDE_BY_SIDE = replace(MANIFEST, hop_samples=WINDOW, frame_hop_samples=FRAME)


def test_a_graph_whose_windows_stand_alone_passes(tmp_path: Path) -> None:
    model = write_model(tmp_path / "telling.onnx", SIDE_BY_SIDE, origin=True).read_bytes()
    assert context_difference(model, WINDOW, WINDOW, [noise(1), noise(3)]) < 1e-5
    assert not finite_on_extremes(model, WINDOW, WINDOW)


@pytest.mark.parametrize("spoilt", ["frame_origin", "window_llr"])
def test_a_graph_that_compares_windows_is_found_out(spoilt: str, tmp_path: Path) -> None:
    """Here the loudest of the whole input is taken off what is said."""
    graph = onnx.load(write_model(tmp_path / "telling.onnx", SIDE_BY_SIDE, origin=True))
    for node in graph.graph.node:
        node.output[:] = ["plain" if name == spoilt else name for name in node.output]
    graph.graph.node.append(helper.make_node("ReduceMax", ["plain"], ["loudest"], keepdims=0))
    graph.graph.node.append(helper.make_node("Sub", ["plain", "loudest"], [spoilt]))
    clip = noise(3) * np.linspace(0.1, 1, 3 * WINDOW, dtype=np.float32)
    assert context_difference(graph.SerializeToString(), WINDOW, WINDOW, [clip]) > 0.1
