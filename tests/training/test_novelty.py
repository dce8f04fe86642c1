"""What lies where no training data lay is told apart, in numbers that mean the same for every model."""

import torch

from training.config import ENCODER_WINDOW, TrainConfig
from training.models import build
from training.novelty import LIMIT_RATE, Novelty

WIDTH, AXES = 12, 3


def cloud(count: int, seed: int) -> torch.Tensor:
    """(count, WIDTH) wide along AXES directions, narrow along all others, off the origin."""
    draw = torch.Generator().manual_seed(seed)
    spread = torch.tensor([10.0] * AXES + [0.1] * (WIDTH - AXES))
    return 3 + torch.randn(count, WIDTH, generator=draw) * spread


def fitted() -> Novelty:
    novelty = Novelty(WIDTH, AXES)
    novelty.fit(cloud(4000, 0))
    novelty.scale_to(novelty(cloud(4000, 1)))
    return novelty


def test_one_is_rare_among_ordinary_data() -> None:
    share = float((fitted()(cloud(20_000, 2)) > 1).float().mean())
    assert LIMIT_RATE / 2 < share < 2 * LIMIT_RATE


def test_a_step_counts_by_how_far_data_reach_in_its_direction() -> None:
    novelty, centre = fitted(), torch.full((WIDTH,), 3.0)
    along, across = torch.zeros(WIDTH), torch.zeros(WIDTH)
    along[0] = across[-1] = 2.0  # a fifth of the spread there, twenty times the spread here
    assert novelty(centre + along) < 0.2 < 1 < novelty(centre + across)


def test_the_detector_gives_one_a_window_and_the_same_llrs_as_without() -> None:
    torch.manual_seed(0)
    plain = build(TrainConfig(architecture="encoder", hop_samples=ENCODER_WINDOW).as_dict()).eval()
    config = TrainConfig(architecture="encoder", hop_samples=ENCODER_WINDOW, novelty=AXES)
    telling = build(config.as_dict()).eval()
    telling.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        clip = torch.randn(2, 3 * ENCODER_WINDOW) * 0.1
        window, frame = plain(clip)
        found = telling(clip)
    assert torch.equal(found[0], window) and torch.equal(found[1], frame)
    assert found[2].shape == window.shape
