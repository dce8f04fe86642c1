"""A file gives back the networks that it was made of."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from export.int8 import quantised
from export.parity import probe_clips
from export.restore import restore
from export.to_onnx import ExportError, trace
from training.config import ENCODER_WINDOW, TrainConfig, configure
from training.models import build, rounded  # by name: the suite puts tiny ones in place of models.build

WINDOW = ENCODER_WINDOW
SHAPE = {"hop_samples": WINDOW, "layers": 2, "full_rate": 1}
CLIPS = [clip[:WINDOW] for clip in probe_clips(WINDOW, WINDOW)]


def network(architecture: str, seed: int, width: str = "wide") -> torch.nn.Module:
    """Random weights, norms and scales: export would merge those that are alike."""
    torch.manual_seed(seed)
    detector = build(TrainConfig(architecture=architecture, width=width, **SHAPE).as_dict())
    for value in detector.network.state_dict().values():
        if value.is_floating_point() and value.numel() > 2 and value.unique().numel() == 1:
            value.uniform_(0.5, 2)
    return rounded(detector.eval())


def file_of(detector: torch.nn.Module) -> bytes:
    content: bytes = trace(detector, WINDOW, WINDOW).SerializeToString()
    return content


def largest_change(first: torch.nn.Module, second: torch.nn.Module) -> float:
    waveform = torch.stack([torch.from_numpy(clip) for clip in CLIPS])
    with torch.no_grad():
        pairs = zip(first.eval()(waveform), second.eval()(waveform), strict=True)
        return max(float((a - b).abs().max()) for a, b in pairs)


def with_norms_inside(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state with what norms multiply by and add inside the products that they feed: integers share it out
    between the two.
    """
    state = dict(network.state_dict())
    for norm in [name.removesuffix(".weight") for name in state if name.endswith("norm.weight")]:
        fed = norm.replace("attention_norm", "qkv").replace("mlp_norm", "up")
        scale, shift = state.pop(f"{norm}.weight"), state.pop(f"{norm}.bias")
        state[f"{fed}.bias"] = state[f"{fed}.bias"] + state[f"{fed}.weight"] @ shift
        state[f"{fed}.weight"] = state[f"{fed}.weight"] * scale
    return state


@pytest.fixture(scope="module")
def fused() -> torch.nn.Module:
    return network("fused", 0)


@pytest.fixture(scope="module")
def exact(fused: torch.nn.Module) -> bytes:
    return file_of(fused)


@pytest.mark.parametrize(("part", "architecture"), [("encoder", "encoder"), ("small", "rescnn")])
def test_both_parts_of_a_fused_network_come_back(
    fused: torch.nn.Module, exact: bytes, part: str, architecture: str
) -> None:
    other = network(architecture, 1).network
    before = largest_change(other, getattr(fused.network, part))
    restore(other, exact, part, WINDOW)
    assert largest_change(other, getattr(fused.network, part)) < 1e-3 * before


@pytest.mark.parametrize(
    ("part", "architecture", "width"),
    [("encoder", "encoder", "wide"), ("small", "rescnn", "wide"), ("small", "rescnn", "slim")],
)
def test_a_network_alone_comes_back(part: str, architecture: str, width: str) -> None:
    alone, other = network(architecture, 2, width), network(architecture, 3, width).network
    restore(other, file_of(alone), part, WINDOW)
    assert largest_change(other, alone.network) < 1e-4


def test_weights_in_integers_come_back_rounded(fused: torch.nn.Module, exact: bytes) -> None:
    other = network("encoder", 1).network
    before = largest_change(other, fused.network.encoder)
    restore(other, quantised(exact, CLIPS), "encoder", WINDOW)
    before_state, after_state = (with_norms_inside(one) for one in (fused.network.encoder, other))
    for name, value in before_state.items():
        assert (after_state[name] - value).abs().amax() <= value.abs().amax() / 50, name
    assert largest_change(other, fused.network.encoder) < 0.2 * before


def test_what_else_a_file_multiplies_is_not_mistaken_for_a_layer(fused: torch.nn.Module) -> None:
    """Two products of one part that is no network's, of weights that do not go together."""
    model = onnx.load_from_string(file_of(fused))
    for index, shape in enumerate([(4, 3), (3, 2)]):
        weight = numpy_helper.from_array(np.ones(shape, np.float32), f"axes{index}")
        model.graph.initializer.append(weight)
        ends = [f"seen{index}", weight.name], [f"seen{index + 1}"]
        model.graph.node.append(onnx.helper.make_node("MatMul", *ends, name=f"/novelty/MatMul_{index}"))
    other = network("rescnn", 1).network
    restore(other, model.SerializeToString(), "small", WINDOW)
    assert largest_change(other, fused.network.small) < 1e-2


def test_another_rate_is_refused(exact: bytes) -> None:
    """It changes no weight's shape."""
    config = TrainConfig(architecture="encoder", **(SHAPE | {"full_rate": -1}))
    network = build(config.as_dict()).network
    with pytest.raises(ExportError, match=r"see \[96, 48\] tokens.*\[96, 96\].*full_rate"):
        restore(network, exact, "encoder", WINDOW)
    restore(network, exact, "encoder", WINDOW, other_rate=True)


def test_weights_come_back_into_a_network_of_finer_frames(fused: torch.nn.Module, exact: bytes) -> None:
    finer = configure("encoder", SHAPE | {"frame_hop_samples": 512, "hop_samples": 24_576})
    other = build(finer.as_dict()).network
    restore(other, exact, "encoder", WINDOW)
    assert other.frame_hop_samples == 512
    for name, value in fused.network.encoder.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, atol=1e-3, rtol=1e-3)


def test_another_shape_is_refused(exact: bytes) -> None:
    config = TrainConfig(architecture="encoder", **(SHAPE | {"layers": 3}))
    with pytest.raises(ExportError, match=r"nothing for encoder .*layers\.2.*--set"):
        restore(build(config.as_dict()).network, exact, "encoder", WINDOW)
