"""MLflow run -> the network it left, to go on from or to fuse."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from training import models, tracking
from training.config import TrainingError


def fetched(run_id: str, folder: str | None = None) -> Path:
    """The file that a run left in the tracking store, downloaded into `folder` where one is named. Raises
    TrainingError where there is none.
    """
    client, _ = tracking.connect()
    try:
        return Path(client.download_artifacts(run_id, tracking.CHECKPOINT, folder))
    except Exception as error:  # MLflow raises its own, the store's and the transport's errors here
        raise TrainingError(
            f"No run {run_id!r} with a {tracking.CHECKPOINT} ({error}); `make ui` shows the runs."
        ) from error


def checkpoint(run_id: str) -> dict[str, Any]:
    """The checkpoint that a run left in the tracking store. Raises TrainingError where there is none."""
    content: dict[str, Any] = torch.load(fetched(run_id), weights_only=True)
    return content


def detector_of(content: dict[str, Any]) -> models.Detector:
    """The trained detector of a checkpoint."""
    detector = models.build(content["config"])
    detector.load_state_dict(content["model"])
    return detector.eval()


def network_of(content: dict[str, Any]) -> nn.Module:
    """The trained network of a checkpoint, without its calibration."""
    return detector_of(content).network
