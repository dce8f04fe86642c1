"""What listens to tokens hears their order, on the head's own scale, and says it beside the statistics."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from export.graph import context_difference, open_session
from export.to_onnx import trace
from training import models
from training.adopt import beside
from training.config import ENCODER_WINDOW, PRESETS, TrainConfig, TrainingError
from training.encoder import EncoderNet
from training.parts import Standardise
from training.tdnn import BLOCKS, POOLS, Tdnn

CONFIG = replace(PRESETS["encoder"], size="tiny", hidden=16, layers=2, full_rate=1, tdnn=24)


def network(config: TrainConfig = CONFIG, seed: int = 0) -> EncoderNet:
    """With scales and norms as if measured: what nobody measured is the same for all channels."""
    torch.manual_seed(seed)
    found = models.build(config.as_dict()).network
    assert isinstance(found, EncoderNet)
    found.train()(noise(7, 8))
    return found.eval()


def noise(seed: int, count: int = 4) -> Tensor:
    return torch.randn(count, ENCODER_WINDOW, generator=torch.Generator().manual_seed(seed)) * 0.1


def tokens(count: int = 3) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(count, 48, 10).cumsum(dim=1) for _ in range(2)]


@torch.no_grad()
def test_order_is_heard() -> None:
    tdnn, scale = Tdnn(2, 10, 16).eval(), Standardise(20)
    states, order = tokens(), torch.randperm(48)
    units = tdnn(states, scale)
    assert units.shape == (3, 2 * POOLS * 16)
    shuffled = tdnn([state[:, order] for state in states], scale)
    assert (shuffled - units).abs().max() > 0.1 * units.std()


@torch.no_grad()
def test_a_token_hears_both_sides_as_far_as_the_blocks_reach() -> None:
    tdnn = Tdnn(1, 10, 16).eval()
    reach = sum(2**index for index in range(BLOCKS))
    x = torch.randn(1, 99, 16)
    moved = x.clone()
    moved[:, 49] += 1
    for block in tdnn.blocks:
        x, moved = block(x), block(moved)
    places = (moved - x).abs().amax(dim=2)[0].nonzero()[:, 0]
    assert (int(places.min()), int(places.max())) == (49 - reach, 49 + reach)


@torch.no_grad()
def test_tokens_are_heard_on_the_scale_that_was_measured() -> None:
    """The states as they are, and a huge one among them, on its scale."""
    tdnn, plain, scale = Tdnn(2, 10, 16).eval(), Standardise(20), Standardise(25)
    states = tokens()
    scale.mean[:20], scale.deviation[:20] = torch.randn(20), torch.rand(20) + 0.5
    scale.mean[3], scale.deviation[3] = 500.0, 80.0
    raw = torch.cat(states, dim=2) * scale.deviation[:20] + scale.mean[:20]
    assert torch.allclose(tdnn(list(raw.split(10, dim=2)), scale), tdnn(states, plain), atol=1e-3)


def test_in_training_some_values_are_hidden_from_all_windows() -> None:
    torch.manual_seed(0)
    tdnn, scale = Tdnn(2, 10, 16), Standardise(20)
    one = [state[:1].expand(2, -1, -1) for state in tokens()]
    first, again = (tdnn._channels(one, scale) for _ in range(2))
    assert torch.equal(first[0], first[1])
    assert not torch.allclose(first, again)
    assert torch.equal(tdnn.eval()._channels(one, scale), tdnn._channels(one, scale))


@torch.no_grad()
def test_the_windows_logit_is_the_mean_of_both_words() -> None:
    net = network()
    states = net.states(noise(2))
    units, frame_units = net.head.hidden(states)
    assert units.shape == (4, net.head.units)
    own, heard = net.head.words(units)
    window, frame = net.head.judged(units, frame_units)
    found, frames, _ = net.head(states)
    assert torch.equal(window, found) and torch.equal(frame, frames)
    assert torch.allclose(2 * window, own + heard) and own.std() > 0 and heard.std() > 0


@torch.no_grad()
def test_a_file_says_what_the_network_says_whatever_is_beside_a_window() -> None:
    detector = models.build(CONFIG.as_dict())
    assert isinstance(detector.network, EncoderNet)
    detector.network.load_state_dict(network().state_dict())
    model = trace(detector.eval(), ENCODER_WINDOW, ENCODER_WINDOW).SerializeToString()
    said = open_session(model).run(None, {"waveform": noise(3).numpy()})[0]
    assert torch.allclose(torch.from_numpy(said), detector(noise(3))[0], atol=1e-4)
    clip = noise(4, 1).repeat(1, 3)[0] * torch.linspace(0.1, 1, 3 * ENCODER_WINDOW)
    assert context_difference(model, ENCODER_WINDOW, ENCODER_WINDOW, [clip.numpy()]) < 1e-4


@torch.no_grad()
def test_who_adopts_keeps_its_own_share_of_what_its_tdnn_says() -> None:
    first, second = network(), network(replace(CONFIG, tdnn=0, hidden=40), 1)
    second.trunk.load_state_dict(first.trunk.state_dict())
    second.head.statistics_scale.load_state_dict(first.head.statistics_scale.state_dict())
    whole = network(replace(CONFIG, hidden=16 + 40, frame_units=first.head.frame_units), 2)
    layer = second.head.window[1]
    assert isinstance(layer, torch.nn.Linear)
    beside(first, second, 0.2, layer, whole)
    own, theirs, said = (net(noise(5))[0] for net in (first, second, whole))
    assert torch.allclose(said, 0.8 * own + 0.2 * theirs, atol=1e-5)


@torch.no_grad()
def test_a_calibration_goes_into_both_words() -> None:
    detector = models.build(CONFIG.as_dict()).eval()
    detector.network.load_state_dict(network().state_dict())
    detector.window_calibration.copy_(torch.tensor([2.0, -1.0]))
    said = detector(noise(6))[0]
    assert torch.allclose(models.in_llrs(detector)(noise(6))[0], said, atol=1e-5)


def test_heads_with_a_tdnn_do_not_stand_side_by_side() -> None:
    with pytest.raises(TrainingError, match="does not stand beside others; give runs with tdnn=0"):
        network(replace(CONFIG, hidden=32)).head.stack([copy.deepcopy(network().head)] * 2)
