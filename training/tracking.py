"""Where runs and versions are kept: the one place for the tracking address, experiment and model name.

The default store is `mlruns/mlflow.db` with its artefacts in `mlruns/artifacts`; `MLFLOW_TRACKING_URI`
overrides it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = "bonafide"
MODEL = "bonafide"
CHECKPOINT = "checkpoint.pt"  # artefact path of the torch weights inside a run
SQLITE = "sqlite:///"


def tracking_uri() -> str:
    """Address of the tracking store and of the registry."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{ROOT / 'mlruns' / 'mlflow.db'}"


def artifact_location(uri: str) -> str | None:
    """Where a new experiment puts its artefacts: beside a sqlite file, else None: the server says."""
    if not uri.startswith(SQLITE):
        return None
    return (Path(uri.removeprefix(SQLITE)).resolve().parent / "artifacts").as_uri()


def connect() -> tuple[MlflowClient, str]:
    """Points MLflow at the store; gives a client and the id of the experiment, created if it is missing."""
    import mlflow  # takes seconds and 200 MB: only for those who connect

    uri = tracking_uri()
    if uri.startswith(SQLITE):
        Path(uri.removeprefix(SQLITE)).resolve().parent.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is not None:
        return client, str(experiment.experiment_id)
    return client, str(client.create_experiment(EXPERIMENT, artifact_location=artifact_location(uri)))
