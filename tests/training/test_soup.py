"""The mean of networks is the mean of their weights, and of nothing that does not fit together."""

from pathlib import Path

import pytest
import torch

from training import models, soup
from training.config import PRESETS
from training.encoder import EncoderNet
from training.soup import common_shape, mean, side_by_side


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
    assert common_shape([halved, halved | {"seed": 7}]) == {
        "size": "base",
        "layers": 2,
        "hidden": 256,
        "full_rate": 1,
        "frame_hop_samples": 640,
        "statistics": 2,
        "heads": 0,
        "mlp": 0,
        "frame_units": 0,
    }
    with pytest.raises(ValueError, match=r"different shapes.*share a start"):
        common_shape([full, halved])


def encoder(seed: int, **changes: int) -> EncoderNet:
    """With scales of its own, as a probe measures them."""
    torch.manual_seed(seed)
    found = models.build(PRESETS["encoder"].as_dict() | changes).network.eval()
    assert isinstance(found, EncoderNet)
    for scale in (found.head.statistics_scale, found.head.frame_scale):
        scale.mean.normal_()
        scale.deviation.uniform_(0.5, 2.0)
    return found


@pytest.mark.parametrize(
    "others",
    [
        ({}, {}),
        ({}, {"statistics": 3}),
        ({"statistics": 3}, {}),
        ({"hidden": 64}, {"hidden": 128}),
        ({"layers": 3, "full_rate": 2}, {"full_rate": 2}),
        ({"full_rate": 2}, {"layers": 3, "full_rate": 2, "statistics": 3}),
    ],
)
def test_heads_side_by_side_say_the_mean_of_what_each_says(others: tuple[dict[str, int], ...]) -> None:
    first, second = (encoder(seed, **changes) for seed, changes in enumerate(others))
    configs = [PRESETS["encoder"].as_dict() | changes for changes in others]
    whole = side_by_side([first, second], common_shape(configs, heads=True))
    for one in (first, second):  # the trunk that the whole has, as far as it goes
        one.trunk.load_state_dict({name: whole.trunk.state_dict()[name] for name in one.trunk.state_dict()})
    waveform = torch.randn(2, 61_440) * 0.1
    with torch.no_grad():
        window, frame = whole(waveform)
        parts = [one(waveform) for one in (first, second)]
    assert (parts[0][0] - parts[1][0]).abs().max() > 0.01
    assert torch.allclose(window, (parts[0][0] + parts[1][0]) / 2, atol=1e-4)
    assert torch.allclose(frame, (parts[0][1] + parts[1][1]) / 2, atol=1e-4)


def test_heads_side_by_side_have_a_say_by_their_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two with one head one states its logits tenfold and is calibrated for it: the mean says the same."""
    made = {"one": models.Detector(encoder(0)), "tenfold": models.Detector(encoder(0))}
    waveform = torch.randn(2, 30_720) * 0.1
    with torch.no_grad():
        llr = made["one"](waveform)[0]
        last = made["tenfold"].network.head.window[-1]
        last.weight.mul_(10)
        last.bias.mul_(10).add_(5)
    made["tenfold"].window_calibration = torch.tensor([0.1, -0.5])
    config = {"config": PRESETS["encoder"].as_dict()}
    monkeypatch.setattr(soup, "checkpoint", lambda run: config | {"run": run})
    monkeypatch.setattr(soup, "detector_of", lambda content: made[content["run"]])
    for name in ("read", "pool", "score"):
        monkeypatch.setattr(soup, name, lambda *_: [])
    monkeypatch.setattr(soup, "dev_metrics", lambda *_: {})
    left = []
    monkeypatch.setattr(soup, "record", lambda network, *_: left.append(network))
    soup.run(["one", "tenfold"], Path("corpus.tsv"), "mean", heads=True)
    with torch.no_grad():
        assert torch.allclose(left[0](waveform)[0], llr, atol=2e-3)  # weights are rounded to float16


def test_heads_of_which_none_is_told_all_are_refused() -> None:
    others = ({"layers": 3, "full_rate": 2}, {"full_rate": 2, "statistics": 3})
    configs = [PRESETS["encoder"].as_dict() | changes for changes in others]
    with pytest.raises(ValueError, match="told 6144 statistics.*4608; give one with the most layers"):
        side_by_side([encoder(1, **one) for one in others], common_shape(configs, heads=True))
