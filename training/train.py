"""Clips -> a trained detector in one MLflow run.

python -m training.train --data corpus/train.tsv --architecture encoder --set epochs=12
"""

import argparse
import os
from pathlib import Path

import mlflow
import torch

from training import sample, tracking
from training.config import PRESETS, TrainConfig, TrainingError, configure
from training.datasets import DataError, read
from training.fitting import ON_NOTHING, Earlier, fit
from training.machine import PROCESSOR, Machine
from training.outcome import facts, folder_of, leave
from training.refusals import in_a_line

SMOKE = ("epochs=2", "steps=25")  # without data there is nothing to learn: enough to try the rest out


def run(
    config: TrainConfig,
    data: Path,
    extra: list[Path],
    twins: Path | None,
    name: str,
    earlier: Earlier = ON_NOTHING,
    held_out: frozenset[str] = frozenset(),
    machine: Machine = PROCESSOR,
) -> str:
    """One MLflow run from start to checkpoint; returns its id. Raises DataError, also on a source to hold out
    that the data lack.
    """
    lists = [read(part, "train") for part in (data, *extra)]
    if lacking := held_out - {clip.source for part in lists for clip in part}:
        raise DataError(f"The training clips have no source {', '.join(sorted(lacking))} to hold out.")
    clips = [clip for part in lists for clip in part if clip.source not in held_out]
    made, dev = read(twins, "train") if twins else [], read(data, "dev")
    _, experiment = tracking.connect()
    with mlflow.start_run(experiment_id=experiment, run_name=name) as active:
        described = facts(data, clips + made, sample.is_smoke(clips + dev))
        mlflow.set_tags(described.tags())
        runs = {
            "start_run": earlier.start,
            "trunk_run": earlier.trunk,
            "teachers": " ".join(earlier.teachers),
        }
        asked = {"data": str(data.resolve()), "held_out": " ".join(sorted(held_out))}
        mlflow.log_params(config.as_dict() | asked | runs)
        run_id = str(active.info.run_id)
        best = folder_of(run_id) / "best.pt"
        network = fit(config, lists, made, dev, earlier, best, held_out, machine)
        leave(network, config, dev, described, run_id)
        return run_id


def settings(pairs: list[str], architecture: str) -> TrainConfig:
    """["epochs=3", ...] -> the preset with these changes, each read as its field's type; or TrainingError."""
    kinds = {k: type(v) for k, v in PRESETS["rescnn"].as_dict().items()}
    changes = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        kind = kinds.get(key, str)
        try:
            changes[key] = kind(value)
        except ValueError:
            number = {int: "a whole number", float: "a number"}[kind]
            raise TrainingError(f"{key} is {value!r}; expected {number}, as in {key}=1.") from None
    return configure(architecture, changes)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="protocol TSV or corpus folder; without it a smoke run on a small sample that is made now",
    )
    parser.add_argument(
        "--extra", type=Path, nargs="*", default=[], help="further protocols, for training only"
    )
    parser.add_argument("--twins", type=Path, help="protocol of spoof twins from training.twins")
    parser.add_argument("--architecture", choices=sorted(PRESETS), default="rescnn")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes to the preset, see training.config"
    )
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument(
        "--start", default="", metavar="RUN", help="MLflow run whose weights training goes on from"
    )
    origin.add_argument(
        "--trunk", default="", metavar="RUN",
        help="MLflow run of an encoder whose trunk is taken instead of Whisper's, below a new head",
    )  # fmt: skip
    parser.add_argument(
        "--teachers", nargs="+", default=[], metavar="RUN",
        help="MLflow runs that a cheaper network learns to stand in for, labels are not looked at: one of a "
        "rescnn for another (--set width=slim), or some of encoders for one that holds the heads of all",
    )  # fmt: skip
    parser.add_argument(
        "--hold-out", nargs="+", default=[], metavar="SOURCE",
        help="sources kept out of training and judged after each epoch: what a recipe does for unseen "
        "generators shows there, not on a dev set that is like the training data; "
        "--start or --trunk has to be a run without them",
    )  # fmt: skip
    parser.add_argument("--name", help="of the run; the architecture by default")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="", help="cpu or cuda; by default cuda where PyTorch finds it")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with in_a_line():
        config = settings([*([] if args.data else SMOKE), *args.set], args.architecture)
        data = args.data or sample.make(sample.DEFAULT)
        name, held_out = args.name or args.architecture, frozenset(args.hold_out)
        earlier = Earlier(args.start, args.trunk, tuple(args.teachers))
        run(config, data, args.extra, args.twins, name, earlier, held_out, Machine.here(args.device))


if __name__ == "__main__":
    main()
