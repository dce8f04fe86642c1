"""The mean of networks is the mean of their weights, and of nothing that does not fit together."""

import pytest
import torch

from training import models
from training.config import PRESETS
from training.soup import common_shape, mean


def network(seed: int, architecture: str = "rescnn") -> torch.nn.Module:
    torch.manual_seed(seed)
    return models.build(PRESETS[architecture].as_dict()).network.eval()


def test_every_weight_is_the_mean_and_counters_stay_whole() -> None:
    states = [{k: v.clone() for k, v in network(seed).state_dict().items()} for seed in range(3)]
    found = mean([network(seed) for seed in range(3)]).state_dict()
    for name, tensor in found.items():
        assert tensor.dtype == states[0][name].dtype
        if tensor.is_floating_point():
            assert torch.allclose(tensor, sum(state[name] for state in states) / 3, atol=1e-6)


def test_copies_of_one_network_are_that_network() -> None:
    waveform = torch.randn(1, 30_720) * 0.1
    with torch.no_grad():
        alone, together = network(1)(waveform)[0], mean([network(1), network(1)])(waveform)[0]
    assert torch.allclose(alone, together, atol=1e-6)


def test_networks_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="share a start"):
        mean([network(0), network(0, "seed")])


def test_runs_whose_layers_see_other_tokens_are_refused() -> None:
    full, halved = PRESETS["encoder"].as_dict(), PRESETS["encoder"].as_dict() | {"full_rate": 1}
    assert common_shape([halved, halved | {"seed": 7}]) == {"layers": 2, "full_rate": 1}
    with pytest.raises(ValueError, match=r"different shapes.*share a start"):
        common_shape([full, halved])
