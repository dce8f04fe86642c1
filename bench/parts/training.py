"""Training speed: epochs an hour of the loader with a process of its own against batches made in the loop.

A short run on the smoke sample, which is made here; the network and the batches are those of a real run.
"""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bench.plan import WORK, Bench
from bench.stats import spread
from training import models, sample
from training.batches import Batch, Batches, Composition, loaded
from training.config import configure
from training.datasets import read
from training.fitting import epoch, geometry
from training.objective import losses, optimiser
from training.pool import pool

ARCHITECTURE = "rescnn"  # needs no pretrained weights
AHEAD = 2  # batches; a real run has 8, but so many made beforehand would flatter a short one


def run(bench: Bench) -> dict[str, Any]:
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        ways = {"loader process (shipped)": _loader, "batches in the loop": iter}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        waiting: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(min(2, bench.plan.pairs)):
            for name, way in ways.items():
                found = _short_epoch(bench.plan.train_steps, way)
                seconds[name].append(found["epoch_s"] / bench.plan.train_steps)
                waiting[name].append(found["waiting_share"])
    finally:
        torch.set_num_threads(threads)
    steps = configure(ARCHITECTURE, {}).steps
    return {
        "architecture": ARCHITECTURE,
        "epochs_per_hour": {
            name: spread([3600 / (s * steps) for s in values]).as_dict() for name, values in seconds.items()
        },
        "waiting_share": {name: spread(values).as_dict() for name, values in waiting.items()},
        "goals": [],
    }


def _short_epoch(steps: int, way: Any) -> dict[str, float]:
    config = configure(ARCHITECTURE, {"steps": steps, "epochs": 1})
    clips = read(sample.make(WORK / "sample"), "train")
    network = models.initialised(config.as_dict()).network
    batches = Batches(
        clips,
        [],
        pool([clips], WORK / "pool"),
        Composition.of(config),
        geometry(network, config),
        config.strength,
        config.seed,
    )
    stream = way(batches)
    next(stream)  # the loader's start is paid once a run, not once an epoch
    adam, schedule = optimiser(network, config)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.average), use_buffers=True)
    lesson = partial(losses, network, config=config)
    return epoch(network, average, stream, adam, schedule, lesson, config, "training speed")


def _loader(batches: Batches) -> Iterator[Batch]:
    return loaded(batches, ahead=AHEAD)
