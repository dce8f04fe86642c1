"""Batches -> a fitted network: epochs, the best average by dev AUC, and the mix with the weights before."""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from training import models
from training.batches import Batch, Batches, Composition, loaded
from training.checkpoints import checkpoint, network_of
from training.config import TrainConfig, TrainingError
from training.datasets import Clip
from training.encoder import EncoderNet, Half
from training.machine import PROCESSOR, Machine
from training.metrics import auc, cllr, eer
from training.objective import Lesson, losses, optimiser, warming
from training.outcome import calibrated
from training.pool import CACHE, Pool, Selection, pool
from training.probe import probe
from training.scoring import Logits, score
from training.teacher import taught

MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of fine-tuning in the final weights
SAID_EVERY = 10  # steps: reading a loss waits for the device that computes it


@dataclass(frozen=True)
class Earlier:
    """MLflow runs that a training builds on, each empty where there is none."""

    start: str = ""  # whose weights it goes on from
    trunk: str = ""  # whose encoder's trunk it takes instead of Whisper's, below a new head
    teachers: tuple[str, ...] = ()  # whose networks it learns to stand in for, without labels


ON_NOTHING = Earlier()


def geometry(network: nn.Module, config: TrainConfig) -> tuple[int, int, int]:
    """Window samples, frame hop samples and frames a window; 0 and 0 for a network without frames."""
    with torch.no_grad():
        _, frame = network.eval()(torch.zeros(1, config.window_samples))
    return config.window_samples, *((0, 0) if frame is None else (config.frame_hop_samples, frame.shape[1]))


def epoch(
    network: nn.Module,
    average: AveragedModel,
    batches: Iterator[Batch],
    adam: torch.optim.Optimizer,
    schedule: Any,
    lesson: Lesson,
    config: TrainConfig,
    label: str,
) -> dict[str, float]:
    """One pass of `steps` batches -> mean of each part of the loss, and the share of time that data took."""
    network.train()
    half = Half.where_it_pays(network) if isinstance(network, EncoderNet) else None
    sums: dict[str, Tensor] = {}
    waited, begun = 0.0, time.perf_counter()
    bar = tqdm(range(config.steps), desc=label, leave=False)
    for _ in bar:
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        parts = lesson(batch)
        adam.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        if half:
            half.collect()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        adam.step()
        schedule.step()
        if half:
            half.refresh()
        average.update_parameters(network)
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value.detach()
        if bar.n % SAID_EVERY == 0:
            bar.set_postfix({name: f"{value.item() / (bar.n + 1):.3f}" for name, value in sums.items()})
    means = {f"loss_{name}": value.item() / config.steps for name, value in sums.items()}
    taken = time.perf_counter() - begun
    return means | {"epoch_s": taken, "waiting_share": waited / taken}


def dev_metrics(logits: Logits, clips: list[Clip]) -> dict[str, float]:
    """AUC, EER and the Cllr that a calibration on the same clips leaves."""
    spoof = np.array([clip.label == "spoof" for clip in clips])
    clip = logits.clip()
    llr = calibrated(logits, clips).window(clip)
    return {"dev_auc": auc(clip, spoof), "dev_eer": eer(clip, spoof), "dev_cllr": cllr(llr, spoof)}


def held_metrics(logits: Logits, clips: list[Clip]) -> dict[str, float]:
    """AUC over the clips held out, and the mean of those within sources that hold both labels."""
    score, spoof = logits.clip(), np.array([clip.label == "spoof" for clip in clips])
    source = np.array([clip.source for clip in clips])
    rows = [source == name for name in np.unique(source)]
    within = [auc(score[row], spoof[row]) for row in rows if 0 < spoof[row].sum() < row.sum()]
    found = {"held_within_auc": float(np.mean(within))} if within else {}
    return found | ({"held_auc": auc(score, spoof)} if 0 < spoof.sum() < len(spoof) else {})


def fit(
    config: TrainConfig,
    lists: list[list[Clip]],
    twins: list[Clip],
    dev: list[Clip],
    earlier: Earlier,
    out: Path,
    held_out: frozenset[str] = frozenset(),
    machine: Machine = PROCESSOR,
) -> nn.Module:
    """Train, keeping the averaged weights of the epoch named by `config.pick` in `out`; returns that network.

    Clips of the sources in `held_out` are judged after each epoch and not learnt from.
    """
    torch.manual_seed(config.seed)
    network = beginning(config, earlier)
    train_pool, dev_pool = pool([*lists, twins], CACHE), pool([dev], CACHE)
    shape = geometry(network, config)
    clips = [clip for part in lists for clip in part]
    held = [row for row, clip in enumerate(clips) if clip.source in held_out]
    source = Batches(
        clips, twins, train_pool, Composition.of(config), shape, config.strength, config.seed, held_out,
        with_clean=bool(earlier.teachers) and isinstance(network, EncoderNet) and config.told == "clean",
    )  # fmt: skip
    network.to(machine.device)
    batches = loaded(source, machine.device, machine.processes)
    named = namer(network, source, config).to(machine.device)
    lesson: Lesson = partial(losses, network, config=config, named=named)
    if earlier.teachers:
        lesson = taught(network, earlier.teachers, None if earlier.start else batches, config)
    elif isinstance(network, EncoderNet) and not earlier.start:
        probe(network, batches, config)
    start = copy.deepcopy(network.state_dict())
    adam, schedule = optimiser(network, config, named)
    average = AveragedModel(network, multi_avg_fn=warming(config.average), use_buffers=True)
    best = -1.0
    torch.save(start, out)
    for index in range(config.epochs):
        measured = epoch(
            network, average, batches, adam, schedule, lesson, config, f"epoch {index + 1}/{config.epochs}"
        )
        logits = score(average.module, dev_pool, len(dev), config)
        measured |= dev_metrics(logits, dev)
        if held:
            measured |= held_metrics(
                score(average.module, Selection(train_pool, held), len(held), config),
                [clips[row] for row in held],
            )
        mlflow.log_metrics(measured, step=index)
        print(f"epoch {index + 1}: " + ", ".join(f"{k} {v:.4g}" for k, v in measured.items()), flush=True)
        if config.pick == "last" or measured["dev_auc"] > best:
            best = measured["dev_auc"]
            torch.save(average.module.state_dict(), out)
    network.load_state_dict(torch.load(out, weights_only=True, map_location=machine.device))
    if isinstance(network, EncoderNet):
        share = config.kept
        if share < 0:
            share = best_share(network, start, partial(_dev_auc, network, dev_pool, dev, config))
        network.load_state_dict(mixed(start, network.state_dict(), share))
    return models.rounded(network).eval().cpu()


def namer(network: nn.Module, source: Batches, config: TrainConfig) -> nn.Module:
    """What names clips' kinds by an encoder's hidden units; nothing where they are not to be named."""
    if not (config.kinds and isinstance(network, EncoderNet)):
        return nn.Identity()
    return nn.Linear(network.head.units, max(source.kinds) + 1)


def beginning(config: TrainConfig, earlier: Earlier) -> nn.Module:
    """The network before its first step. Raises TrainingError where a run has no trunk that fits it or has
    tuned what is to stay untuned, and where layers narrower than Whisper's come from none.
    """
    if earlier.start:
        content = checkpoint(earlier.start)
        if (untuned := content["config"].get("untuned", 0)) != config.untuned:
            raise TrainingError(
                f"The run to go on from left {untuned} stages untuned, expected {config.untuned}; "
                f"say --set untuned={untuned}."
            )
        network = network_of(content)
    elif earlier.trunk and not config.untuned:
        network = models.build(config.as_dict()).network  # of Whisper's weights none would stay
    else:
        network = models.initialised(config.as_dict()).network
    if earlier.trunk:
        _take_trunk(network, network_of(checkpoint(earlier.trunk)), config.untuned)
    if isinstance(network, EncoderNet):
        for weights in network.trunk.first(config.untuned).values():
            weights.requires_grad_(False)
        if not config.trunk_lr:
            network.trunk.requires_grad_(False)
        if config.trained == "frames":
            network.requires_grad_(False)
            network.head.frame.requires_grad_(True)
        network.masked = any(weights.requires_grad for weights in network.trunk.parameters())
    return network


def _take_trunk(network: nn.Module, lender: nn.Module, untuned: int) -> None:
    """Set an encoder's trunk in place to another's as deep as it is, but for the stages that stay untuned."""
    mine, theirs = models.encoder_of(network), models.encoder_of(lender)
    if mine is None or theirs is None:
        pair = f"{type(network).__name__} and {type(lender).__name__}"
        raise TrainingError(f"A trunk goes from encoder to encoder: both have to be encoders, found {pair}.")
    wanted, found = mine.trunk, theirs.trunk
    own, their = (f"Whisper-{one.size} with {one.heads} heads and {one.mlp} units" for one in (wanted, found))
    if own != their or len(wanted.layers) > len(found.layers):
        raise TrainingError(
            f"The run's trunk is {their} in {len(found.layers)} layers, expected {own} in "
            f"{len(wanted.layers)} or more; give its settings with --set."
        )
    taken = {name: weights for name, weights in found.state_dict().items() if name in wanted.state_dict()}
    wanted.load_state_dict(taken | wanted.first(untuned))


def _dev_auc(network: nn.Module, held: Pool, dev: list[Clip], config: TrainConfig) -> float:
    return dev_metrics(score(network, held, len(dev), config), dev)["dev_auc"]


def mixed(start: dict[str, Tensor], tuned: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights `share` of the way from `start` to `tuned` (Wortsman et al. 2022).

    Fine-tuning fits the data at hand; the way back towards the weights before it keeps more of what holds
    elsewhere.
    """
    return {name: start[name] + share * (tuned[name] - start[name]) for name in tuned}


def best_share(network: nn.Module, start: dict[str, Tensor], measure: Callable[[], float]) -> float:
    """The share of MIXES that measures highest; leaves the network as it was."""
    tuned = copy.deepcopy(network.state_dict())
    results = {}
    for share in MIXES:
        network.load_state_dict(mixed(start, tuned, share))
        results[share] = measure()
        mlflow.log_metric("mix_dev_auc", results[share], step=round(100 * share))
    print("share of fine-tuning: " + ", ".join(f"{k:g} {v:.4f}" for k, v in results.items()), flush=True)
    network.load_state_dict(tuned)
    return max(results, key=lambda share: results[share])
