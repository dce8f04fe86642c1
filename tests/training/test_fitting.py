"""Which weights a run leaves: those of the epoch asked for, and of the mixes with the start the best."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from training import fitting, models, train
from training.batches import Batch
from training.config import ENCODER_WINDOW, PRESETS, configure
from training.datasets import Clip, DataError
from training.encoder import EncoderNet, Half
from training.fitting import (
    MIXES,
    ON_NOTHING,
    Earlier,
    beginning,
    best_share,
    epoch,
    fit,
    held_metrics,
    mixed,
    namer,
)
from training.objective import losses, optimiser, warming
from training.scoring import Logits


def test_a_mix_lies_between_its_ends() -> None:
    start, tuned = {"w": torch.tensor([0.0, 2.0])}, {"w": torch.tensor([4.0, 2.0])}
    assert torch.equal(mixed(start, tuned, 0.0)["w"], start["w"])
    assert torch.equal(mixed(start, tuned, 0.25)["w"], torch.tensor([1.0, 2.0]))
    assert torch.equal(mixed(start, tuned, 1.0)["w"], tuned["w"])


@pytest.mark.parametrize("best", MIXES)
def test_the_best_share_is_found_and_the_network_left_as_it_was(
    best: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = []
    monkeypatch.setattr(fitting.mlflow, "log_metric", lambda name, value, step: logged.append((step, value)))
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 8.0)
    start = {"weight": torch.zeros(1, 1)}
    found = best_share(network, start, lambda: -abs(network.weight.item() - 8 * best))
    assert found == best
    assert network.weight.item() == 8
    assert [step for step, _ in logged] == [round(100 * share) for share in MIXES]


@pytest.mark.parametrize(("pick", "left"), [("best", 1), ("last", 2)])
def test_the_epoch_that_was_asked_for_is_left(
    pick: str, left: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each of three epochs sets the weight to its number; dev AUC is highest at 1."""
    network, numbers = torch.nn.Linear(1, 1), iter(range(3))

    def epoch(
        _: torch.nn.Module, average: torch.optim.swa_utils.AveragedModel, *rest: object
    ) -> dict[str, float]:
        torch.nn.init.constant_(average.module.weight, next(numbers))
        return {}

    stand_ins = {
        "checkpoint": lambda run: {"config": {}},
        "network_of": lambda content: network,
        "pool": lambda *_: None,
        "geometry": lambda *_: (1, 0, 0),
        "Batches": lambda *_, **__: None,
        "loaded": lambda source, *_: iter(()),
        "epoch": epoch,
        "score": lambda average, *_: average.weight.item(),
        "dev_metrics": lambda weight, dev: {"dev_auc": 1 - abs(weight - 1)},
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(fitting, name, stand_in)
    monkeypatch.setattr(fitting.mlflow, "log_metrics", lambda *_, **__: None)
    config = configure("rescnn", {"epochs": 3, "pick": pick})
    assert fit(config, [[]], [], [], Earlier("a run"), tmp_path / "best.pt").weight.item() == left


def test_every_kind_that_is_drawn_can_be_named() -> None:
    source = SimpleNamespace(kinds=[0, 4, 2])
    config = configure("encoder", {"kinds": 0.3, "hidden": 16})
    network = models.build(config.as_dict()).network
    named = namer(network, source, config)  # type: ignore[arg-type]
    assert named(torch.zeros(1, 16)).shape == (1, 5)
    assert not list(namer(network, source, PRESETS["encoder"]).parameters())  # type: ignore[arg-type]
    assert not list(namer(nn.Linear(1, 1), source, config).parameters())  # type: ignore[arg-type]


def lent(monkeypatch: pytest.MonkeyPatch, architecture: str) -> torch.nn.Module:
    """The network that every run holds from now on, with random weights."""
    lender = models.build(PRESETS[architecture].as_dict()).network
    monkeypatch.setattr(fitting, "checkpoint", lambda run: {"config": PRESETS[architecture].as_dict()})
    monkeypatch.setattr(fitting, "network_of", lambda content: lender)
    monkeypatch.setattr(
        fitting.models, "initialised", lambda config: models.build(config)
    )  # without Whisper's weights, which tests don't have
    return lender


@pytest.mark.parametrize("rate", [0.0, 1e-5])
def test_a_trunk_is_taken_from_a_run_and_kept_as_it_is_at_a_rate_of_0(
    rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    lender = lent(monkeypatch, "encoder")
    config = configure("encoder", {"statistics": 3, "trunk_lr": rate})
    network = beginning(config, Earlier(trunk="a run"))
    assert isinstance(network, EncoderNet) and isinstance(lender, EncoderNet)
    assert torch.equal(network.trunk.conv2.weight, lender.trunk.conv2.weight)
    assert network.head.width == 1.5 * lender.head.width
    assert {p.requires_grad for p in network.trunk.parameters()} == {rate > 0}
    Half(network.train())
    torch.manual_seed(0)
    first, again = (network.states(torch.ones(1, ENCODER_WINDOW).cumsum(1).sin())[0] for _ in range(2))
    assert torch.equal(first, again) is (rate == 0)  # a tuned trunk is denied parts of it
    assert all(p.requires_grad for p in network.head.parameters())


def test_a_run_goes_on_with_the_stages_untuned_that_it_left_so(monkeypatch: pytest.MonkeyPatch) -> None:
    lent(monkeypatch, "encoder")
    with pytest.raises(ValueError, match="left 0 stages untuned, expected 2; say --set untuned=0"):
        beginning(configure("encoder", {"untuned": 2}), Earlier(start="a run"))


@pytest.mark.parametrize("stages", [-1, 4])
def test_stages_that_a_trunk_has_not_are_refused(stages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lent(monkeypatch, "encoder")
    with pytest.raises(ValueError, match=f"untuned is {stages}, expected 0 to 3"):
        beginning(configure("encoder", {"untuned": stages}), ON_NOTHING)


@pytest.mark.parametrize("stages", [0, 1, 2, 3])
def test_untuned_stages_are_whispers_whatever_the_run_had(
    stages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lender = lent(monkeypatch, "encoder")
    whisper = models.build(PRESETS["encoder"].as_dict())
    for weights in whisper.network.parameters():
        nn.init.constant_(weights, 7)
    monkeypatch.setattr(fitting.models, "initialised", lambda config: whisper)
    network = beginning(configure("encoder", {"untuned": stages}), Earlier(trunk="a run"))
    assert isinstance(network, EncoderNet) and isinstance(lender, EncoderNet)
    whispers = {name: bool((weights == 7).all()) for name, weights in network.trunk.named_parameters()}
    assert {name for name, is_so in whispers.items() if is_so} == {
        name
        for name in whispers
        if (stages > 0 and not name.startswith("layers"))
        or any(name.startswith(f"layers.{index}.") for index in range(stages - 1))
    }
    assert network.masked is (stages < 3)
    for name, weights in network.trunk.named_parameters():
        assert weights.requires_grad is not whispers[name]
        assert whispers[name] or torch.equal(weights, lender.trunk.get_parameter(name))


def test_untuned_stages_come_out_of_training_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    lent(monkeypatch, "encoder")
    config = configure("encoder", {"untuned": 2, "weight_decay": 0.5, "steps": 2, "pairs": 1})
    network = beginning(config, ON_NOTHING)
    assert isinstance(network, EncoderNet)
    before = {name: weights.clone() for name, weights in network.trunk.named_parameters()}
    spoof = torch.tensor([0.0, 1.0])
    shape = (spoof[:, None].expand(2, 48), torch.ones(2, 48), spoof.long())
    batch = Batch(torch.randn(2, ENCODER_WINDOW), spoof, *shape)
    average = AveragedModel(network, multi_avg_fn=warming(config.average), use_buffers=True)
    lesson = partial(losses, network, config=config)
    epoch(
        network,
        average,
        iter([batch] * config.steps),
        *optimiser(network, config),
        lesson,
        config,
        "two steps",
    )
    for name, weights in network.trunk.named_parameters():
        assert torch.equal(weights, before[name]) is (name in network.trunk.first(2))
        assert torch.equal(average.module.trunk.get_parameter(name), before[name]) is (
            name in network.trunk.first(2)
        )


def test_what_judges_windows_stays_where_frames_alone_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    lent(monkeypatch, "encoder")
    network = beginning(configure("encoder", {"trained": "frames"}), Earlier(start="a run"))
    assert isinstance(network, EncoderNet)
    tuned = {name for name, weights in network.named_parameters() if weights.requires_grad}
    assert tuned == {f"head.frame.{name}" for name, _ in network.head.frame.named_parameters()}
    assert not network.masked


def test_a_run_without_a_trunk_lends_none(monkeypatch: pytest.MonkeyPatch) -> None:
    lent(monkeypatch, "rescnn")
    with pytest.raises(ValueError, match="both have to be encoders"):
        beginning(configure("encoder", {}), Earlier(trunk="a run"))


def test_a_trunk_of_other_layers_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    lent(monkeypatch, "encoder")
    has = "Whisper-base with 8 heads and 2048 units in 2 layers"
    with pytest.raises(ValueError, match=f"{has}, expected .* 2048 units in 3 or more.*--set"):
        beginning(configure("encoder", {"layers": 3}), Earlier(trunk="a run"))
    with pytest.raises(ValueError, match=f"{has}, expected .* 5 heads and 768 units in 2 or more.*--set"):
        beginning(configure("encoder", {"heads": 5, "mlp": 768}), Earlier(trunk="a run"))


@pytest.mark.parametrize("changes", [{"heads": 5}, {"mlp": 768}])
def test_narrower_layers_than_whispers_come_from_a_run(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="make a run with training.narrow, give it as --start or --trunk"):
        beginning(configure("encoder", changes), ON_NOTHING)
    with pytest.raises(ValueError, match="leave out untuned"):
        beginning(configure("encoder", changes | {"untuned": 1}), Earlier(trunk="a run"))


def test_a_shallower_network_takes_the_lower_layers_of_a_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    lender = lent(monkeypatch, "encoder")
    network = beginning(configure("encoder", {"layers": 1}), Earlier(trunk="a run"))
    own, theirs = network.trunk.state_dict(), lender.trunk.state_dict()
    assert set(own) < set(theirs) and any(name.startswith("layers.0") for name in own)
    assert all(torch.equal(weights, theirs[name]) for name, weights in own.items())


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="pick is 'first'; expected one of best, last"):
        configure("rescnn", {"pick": "first"})
    with pytest.raises(ValueError, match="size is 'large'; expected one of base, tiny"):
        configure("encoder", {"size": "large"})


def test_held_out_sources_are_judged_together_and_each_by_itself() -> None:
    clips = [
        Clip(Path(f"{source}{number}"), label, "-", "-", source, "train")
        for source, labels in (("both", ("bonafide", "spoof")), ("fakes", ("spoof",)))
        for number in range(2)
        for label in labels
    ]
    scores = [
        1.0,
        3.0,
        2.0,
        4.0,
        0.0,
        5.0,
    ]  # both: real 1 and 2 below spoofs 3 and 4; one more spoof lies under
    found = held_metrics(Logits([np.array([one]) for one in scores], []), clips)
    assert found == {"held_within_auc": 1.0, "held_auc": pytest.approx(6 / 8)}
    assert held_metrics(Logits([np.array([0.0])], []), [clips[-1]]) == {}


def test_a_source_to_hold_out_has_to_be_there(tmp_path: Path) -> None:
    data = tmp_path / "train.tsv"
    data.write_text("file\tlabel\tattack\tsource\nclip.flac\tbonafide\t-\there\n")
    (tmp_path / "clip.flac").touch()
    with pytest.raises(DataError, match="no source elsewhere"):
        train.run(PRESETS["rescnn"], data, [], None, "any", held_out=frozenset(["elsewhere"]))
