"""A network made from the networks of other runs -> a run of its own, calibrated on dev."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import torch
from torch import nn

from training import tracking
from training.config import TrainConfig
from training.datasets import read
from training.models import Detector
from training.outcome import Facts, folder_of, leave


@contextlib.contextmanager
def derived(content: dict[str, Any], name: str, params: dict[str, Any]) -> Iterator[tuple[str, Facts]]:
    """An MLflow run, by its id, whose training data are those that the checkpoint `content` states."""
    facts = content["manifest"]
    described = Facts(facts["trained_on"], facts["data_fingerprint"], facts["git_commit"], facts["smoke"])
    _, experiment = tracking.connect()
    with mlflow.start_run(experiment_id=experiment, run_name=name) as active:
        mlflow.set_tags(described.tags())
        mlflow.log_params(params)
        yield str(active.info.run_id), described


def record(
    network: nn.Module,
    config: TrainConfig,
    content: dict[str, Any],
    data: Path,
    name: str,
    parts: dict[str, str],
) -> str:
    """One run that holds the network, with the ids of its `parts`, one of which left `content`; its id."""
    params = config.as_dict() | parts | {"data": str(data.resolve())}
    with derived(content, name, params) as (run_id, described):
        leave(network.eval(), config, read(data, "dev"), described, run_id)
        return run_id


def keep(detector: Detector, config: TrainConfig, content: dict[str, Any], run_id: str, **facts: Any) -> str:
    """Put the checkpoint `content` with a detector that has learnt to tell more, and changed facts of its
    manifest, into the active run, and say its id.
    """
    path = folder_of(run_id) / tracking.CHECKPOINT
    changed = {"config": config.as_dict(), "model": detector.state_dict()}
    torch.save(content | changed | {"manifest": content["manifest"] | facts}, path)
    mlflow.log_artifact(str(path))
    print(f"run {run_id}")
    return run_id
