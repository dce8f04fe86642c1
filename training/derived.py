"""A network made from the networks of other runs -> a run of its own, calibrated on dev."""

from pathlib import Path
from typing import Any

import mlflow
from torch import nn

from training import tracking
from training.config import TrainConfig
from training.datasets import read
from training.outcome import Facts, leave


def record(
    network: nn.Module,
    config: TrainConfig,
    content: dict[str, Any],
    data: Path,
    name: str,
    parts: dict[str, str],
) -> str:
    """One MLflow run with the ids of its `parts`; what it was trained on is stated by the checkpoint
    `content` of one of them. Returns the run's id.
    """
    facts = content["manifest"]
    described = Facts(facts["trained_on"], facts["data_fingerprint"], facts["git_commit"], facts["smoke"])
    _, experiment = tracking.connect()
    with mlflow.start_run(experiment_id=experiment, run_name=name) as active:
        mlflow.set_tags(described.tags())
        mlflow.log_params(config.as_dict() | parts | {"data": str(data.resolve())})
        leave(network.eval(), config, read(data, "dev"), described, str(active.info.run_id))
        return str(active.info.run_id)
