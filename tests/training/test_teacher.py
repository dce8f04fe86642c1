"""A cheaper network learns to stand in for trained ones: of the same units, at the same time."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from training import encoder as encoders
from training import teacher
from training.batches import JOINED, Batch
from training.config import ENCODER_WINDOW, FRAME_HOP, PRESETS, TrainConfig, configure
from training.encoder import EncoderNet
from training.hearing import in_pieces
from training.models import Detector, build
from training.rescnn import ResCnn
from training.teacher import CnnTeacher, EncoderTeacher, taught

TINY = replace(PRESETS["encoder"], size="tiny", hidden=16)
SHORTER = {"size": "tiny", "frame_hop_samples": 320, "hidden": 16}  # its windows as well


def noise(seed: int) -> torch.Tensor:
    return torch.randn(6, ENCODER_WINDOW, generator=torch.Generator().manual_seed(seed)) * 0.1


def network_in(detector: Detector) -> EncoderNet:
    assert isinstance(detector.network, EncoderNet)
    return detector.network


def batch(waveform: torch.Tensor, clean: torch.Tensor | None) -> Batch:
    label = torch.tensor([0.0, 1.0] * 3)
    return Batch(waveform, label, label[:, None], torch.ones(6, 1), label.long(), clean)


CLEAR = batch(noise(0), noise(0))


def cnn(width: str, seed: int) -> ResCnn:
    torch.manual_seed(seed)
    network = build(TrainConfig(width=width).as_dict()).network
    assert isinstance(network, ResCnn)
    return network


def encoder(config: TrainConfig, seed: int) -> EncoderNet:
    torch.manual_seed(seed)
    network = build(config.as_dict()).network
    assert isinstance(network, EncoderNet)
    return network


def heard() -> Iterator[Batch]:
    while True:
        yield CLEAR


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders hear in bfloat16, as on machines that are quicker so; on others it takes long."""
    monkeypatch.setattr(encoders, "bfloat16_pays", lambda device: True)


def test_who_hears_as_the_teacher_does_has_nothing_to_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    master, pupil = CnnTeacher(cnn("wide", 0)), cnn("wide", 0).eval()
    master.instruct(pupil)
    monkeypatch.setattr(pupil, "embedding", partial(pupil.embedding, coarse=True))  # as the teacher speaks
    with torch.no_grad():
        found = master.losses(pupil, CLEAR)
    assert {name: float(part) for name, part in found.items()} == {"hidden": 0, "window": 0, "frame": 0}


def test_a_cnn_is_told_of_what_it_hears_itself() -> None:
    master, pupil = CnnTeacher(cnn("wide", 0)), cnn("wide", 1).eval()
    with torch.no_grad():
        own, told = pupil.embedding(noise(1)), master.network.embedding(noise(1), coarse=True)
        found = master.losses(pupil, batch(waveform=noise(1), clean=noise(0)))["hidden"]
    assert torch.isclose(found, ((own - told) ** 2).mean() / told.var())


@pytest.mark.usefixtures("halves")
@pytest.mark.parametrize("clean", [True, False])
def test_an_encoder_is_told_of_the_clean_clips_where_there_are_any(clean: bool) -> None:
    teaching, pupil = encoder(TINY, 0), encoder(TINY, 1).eval()
    head, trunk = copy.deepcopy(teaching.head).eval(), copy.deepcopy(teaching.trunk).bfloat16()
    master = EncoderTeacher([teaching])
    with torch.no_grad():
        own = pupil.head.hidden(pupil.states(noise(1)))
        heard = noise(0) if clean else noise(1)
        told = head.hidden([state.float() for state in trunk(pupil.mels(heard).bfloat16())])
        found = master.losses(pupil, batch(noise(1), noise(0) if clean else None))["hidden"]
    off = [((a - b) ** 2).mean() / b.var() for a, b in zip(own, told, strict=True)]
    assert torch.isclose(found, off[0] + off[1])


def test_a_piece_is_heard_over_and_over_and_each_frame_known() -> None:
    """Samples count up: each says where in the whole it was."""
    places = torch.arange(ENCODER_WINDOW).float().repeat(6, 1)
    kinds = torch.tensor([0, JOINED, 1, JOINED, 2, 3])
    torch.manual_seed(0)
    waveform, frames = in_pieces(replace(batch(places, places), kind=kinds), FRAME_HOP, 1.0)
    assert torch.equal(waveform.reshape(6, -1, FRAME_HOP)[:, :, 0], (frames * FRAME_HOP).float())
    joined = kinds == JOINED
    assert torch.equal(waveform[joined], places[joined])
    for row in frames[~joined]:
        size = len(row.unique())
        assert 0.48 <= size * FRAME_HOP / 16_000 <= 1.2  # in whole frames
        assert torch.equal(row[size:], row[:-size])  # over and over
        assert torch.equal(row[:size], row[0] + torch.arange(size))
    untouched = in_pieces(batch(places, places), FRAME_HOP, 0.0)[0]
    assert torch.equal(untouched, places)


@pytest.mark.usefixtures("halves")
def test_of_a_piece_a_pupil_learns_what_the_teacher_says_of_the_whole() -> None:
    """What is asked of its frames is asked of those that the piece is of."""
    teaching, pupil = encoder(TINY, 0), encoder(TINY, 1).eval()
    head, trunk = copy.deepcopy(teaching.head).eval(), copy.deepcopy(teaching.trunk).bfloat16()
    master = EncoderTeacher([teaching], pieces=1.0)
    with torch.no_grad():
        torch.manual_seed(3)
        found = master.losses(pupil, CLEAR)["hidden"]
        torch.manual_seed(3)
        waveform, frames = in_pieces(CLEAR, FRAME_HOP, 1.0)
        whole = head.hidden([state.float() for state in trunk(teaching.mels(noise(0)).bfloat16())])
        own = pupil.head.hidden(pupil.states(waveform))
        rows = torch.arange(6)[:, None]
        told = whole[0], whole[1][rows, frames]
        expected = sum(((a - b) ** 2).mean() / b.var() for a, b in zip(own, told, strict=True))
    assert torch.isclose(found, expected, rtol=1e-3)


def test_what_is_told_of_longer_frames_is_brought_to_the_pupils(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ramp over 48 frames is the same ramp over 64."""
    teaching = encoder(TINY, 0)
    finer = replace(TINY, frame_hop_samples=480)
    pupil = encoder(finer, 1).eval()
    master = EncoderTeacher([teaching])
    units = ((torch.arange(48) + 0.5) / 48)[:, None].expand(6, 48, 8)
    wanted = ((torch.arange(64) + 0.5) / 64).clamp(0.5 / 48, 1 - 0.5 / 48)[:, None].expand(6, 64, 8)
    window = torch.randn(6, 16)
    monkeypatch.setattr(teaching.head, "hidden", lambda states: (window, units))
    monkeypatch.setattr(pupil.head, "hidden", lambda states: (window, wanted))
    monkeypatch.setattr(pupil.head, "judged", teaching.head.judged)
    found = master.losses(pupil, CLEAR)
    assert all(float(part) < 1e-6 for part in found.values())


def test_nothing_is_hidden_from_a_pupil_in_training() -> None:
    master, pupil = CnnTeacher(cnn("wide", 0)), cnn("slim", 1)
    master.instruct(pupil)
    pupil.train()
    assert torch.equal(pupil.embedding(noise(0)), pupil.embedding(noise(0)))


def test_frames_are_compared_with_those_of_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of 40 ms moves the teacher's frames one further on than the slim network's, whose field is
    wider; then the teacher's embedding is made to tell the time, the pupil's the time of its own frames.
    """
    master, pupil = CnnTeacher(cnn("wide", 0)), cnn("slim", 1).eval()
    burst = noise(0)
    burst[:, 24 * 640 : 25 * 640] += noise(1)[:, :640]
    centres, lengths = [], []
    with torch.no_grad():
        for network in (master.network, pupil):
            moved = (network.embedding(burst) - network.embedding(noise(0))).abs().sum(dim=(0, 1))
            centres.append(float((moved * torch.arange(len(moved))).sum() / moved.sum()))
            lengths.append(len(moved))
    assert lengths[0] - lengths[1] == 2 and abs(centres[0] - centres[1] - 1) < 0.3
    clock = torch.arange(float(lengths[0])).expand(6, 128, -1).clone()
    monkeypatch.setattr(master.network, "embedding", lambda *_, **__: clock)
    monkeypatch.setattr(pupil, "embedding", lambda *_: clock[:, :, 1:-1])
    assert float(master.losses(pupil, CLEAR)["hidden"]) == 0.0


def lessons(master: CnnTeacher, pupil: nn.Module, count: int, lr: float) -> list[float]:
    """What the hidden units miss at every step of a short training on one batch. Logits of random networks
    hardly vary from clip to clip: by that measure what they miss is chance.
    """
    adam = torch.optim.AdamW([p for p in pupil.parameters() if p.requires_grad], lr=lr)
    pupil.train()
    found = []
    for _ in range(count):
        loss = master.losses(pupil, CLEAR)["hidden"]
        adam.zero_grad()
        loss.backward()
        adam.step()
        found.append(loss.item())
    return found


def test_a_slim_network_comes_nearer_and_keeps_the_teachers_way_to_logits() -> None:
    master, pupil = CnnTeacher(cnn("wide", 0)), cnn("slim", 1)
    master.instruct(pupil)
    losses = lessons(master, pupil, 12, 3e-3)
    assert losses[-1] < 0.6 * losses[0]
    for name in ("frame", "attention", "window"):
        own, theirs = (getattr(network, name).state_dict() for network in (pupil, master.network))
        assert all(torch.equal(own[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("statistics", [3, 2])
def test_one_encoder_stands_in_for_two_heads_over_the_same_trunk(statistics: int) -> None:
    """Same trunk, more layers than the second teacher knows of: nothing is left to learn. Of two statistics
    the third is left out, of which that teacher makes nothing here.
    """
    first = encoder(replace(TINY, layers=3), 0)
    second = encoder(replace(TINY, statistics=3, hidden=8), 1)
    second.trunk.load_state_dict(
        {k: v for k, v in first.trunk.state_dict().items() if not k.startswith("layers.2")}
    )
    for one in (first, second):
        one.head.frame_scale.mean.normal_()
        one.head.statistics_scale.mean.normal_()
    if statistics == 2:
        second.head.window[1].weight.data[:, second.head.width * 2 // 3 :] = 0
    shape = replace(TINY, layers=3, statistics=statistics, hidden=24)
    pupil = encoder(shape, 2)
    pupil.trunk.load_state_dict(first.trunk.state_dict())
    master = EncoderTeacher([first, second])
    master.instruct(pupil, heard())
    found = master.losses(pupil.train(), CLEAR)
    assert float(found["hidden"]) < 0.02
    with torch.no_grad():
        logits = [network.eval()(noise(0))[0] for network in (first, second, pupil)]
    assert torch.allclose(logits[2], (logits[0] + logits[1]) / 2, atol=1e-3)
    kept = {name: weights.clone() for name, weights in pupil.head.state_dict().items()}
    master.instruct(pupil, None)
    assert all(torch.equal(weights, kept[name]) for name, weights in pupil.head.state_dict().items())
    other = encoder(shape, 3)
    master.instruct(other, heard())
    assert float(master.losses(other.train(), CLEAR)["hidden"]) > 0.1


def test_of_a_deeper_teacher_a_network_takes_along_what_its_own_states_say() -> None:
    """The upper layer has no say here: nothing is left to learn without it."""
    deep, shape = encoder(TINY, 0), replace(TINY, layers=1)
    width = deep.head.width // deep.head.figures
    deep.head.frame_scale.mean.normal_()
    deep.head.statistics_scale.mean.normal_()
    upper = torch.arange(width * 2 // 3, width)  # of three states the last
    with torch.no_grad():
        for figure in range(deep.head.figures):
            deep.head.window[1].weight[:, figure * width + upper] = 0
        deep.head.frame[1].weight[:, upper] = 0
    pupil, other = encoder(shape, 1), encoder(shape, 2)
    lower = {k: v for k, v in deep.trunk.state_dict().items() if k in pupil.trunk.state_dict()}
    pupil.trunk.load_state_dict(lower)
    master = EncoderTeacher([deep])
    for network in (pupil, other):
        master.instruct(network, heard())
    assert float(master.losses(pupil.train(), CLEAR)["hidden"]) < 0.02
    assert float(master.losses(other.train(), CLEAR)["hidden"]) > 0.1


def test_encoders_have_a_say_by_their_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two teachers with the same head one states its logits tenfold and calibrates for it."""
    made = {"one": Detector(encoder(TINY, 0)), "tenfold": Detector(encoder(TINY, 0))}
    last = network_in(made["tenfold"]).head.window[-1]
    with torch.no_grad():
        llr = made["one"].eval()(noise(2))[0]
        last.weight.mul_(10)
        last.bias.mul_(10).add_(5)
    made["tenfold"].window_calibration = torch.tensor([0.1, -0.5])
    monkeypatch.setattr(teacher, "checkpoint", lambda run: run)
    monkeypatch.setattr(teacher, "detector_of", made.__getitem__)
    pupil = encoder(replace(TINY, hidden=32), 1)
    taught(pupil, ["one", "tenfold"], heard(), TrainConfig())
    pupil.trunk.load_state_dict(network_in(made["one"]).trunk.state_dict())
    halves = pupil.head.window[-1].weight[0].split(16)
    assert torch.allclose(halves[0], halves[1], atol=1e-6)
    assert torch.allclose(pupil.eval()(noise(2))[0], llr, atol=1e-3)


@pytest.mark.parametrize(
    ("pupil", "runs", "said"),
    [
        (TrainConfig(width="slim"), ["encoder"], "EncoderNet"),
        (TrainConfig(width="slim"), ["cnn", "cnn"], "ResCnn, ResCnn"),
        (TINY, ["cnn", "encoder"], "ResCnn, EncoderNet"),
        (TINY, ["encoder", "encoder"], "hidden=32"),
        (TrainConfig(), ["slim"], "has 34 frames of 640"),
        (configure("rescnn", {"frame_hop_samples": 512}), ["cnn"], "of 512 .* of 640"),
        (replace(TINY, size="base"), ["encoder"], "Whisper-tiny, the network .* Whisper-base"),
        (
            configure("encoder", {"size": "tiny", "hidden": 16, "frame_hop_samples": 320}),
            ["encoder"],
            "30720",
        ),
        (replace(TINY, frame_units=16), ["encoder"], "16 and 16; say --set hidden=16 frame_units=8"),
    ],
)
def test_teachers_are_of_their_pupils_kind(
    pupil: TrainConfig, runs: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {
        "cnn": TrainConfig(),
        "slim": TrainConfig(width="slim"),
        "encoder": TINY,
    }
    monkeypatch.setattr(teacher, "checkpoint", lambda run: run)
    monkeypatch.setattr(teacher, "detector_of", lambda run: build(made[run].as_dict()))
    with pytest.raises(ValueError, match=said):
        taught(build(pupil.as_dict()).network, runs, heard(), TrainConfig())
