"""MLflow run -> the network it left, to go on from or to fuse."""

from typing import Any

import torch
from torch import nn

from training import models, tracking


def checkpoint(run_id: str) -> dict[str, Any]:
    """The checkpoint that a run left in the tracking store."""
    client, _ = tracking.connect()
    content: dict[str, Any] = torch.load(
        client.download_artifacts(run_id, tracking.CHECKPOINT), weights_only=True
    )
    return content


def detector_of(content: dict[str, Any], **windows: int) -> models.Detector:
    """The trained detector of a checkpoint; `windows` are other window and hop samples than it had."""
    detector = models.build(content["config"] | windows)
    detector.load_state_dict(content["model"])
    return detector.eval()


def network_of(content: dict[str, Any], **windows: int) -> nn.Module:
    """The trained network of a checkpoint, without its calibration, as `detector_of` gives it."""
    return detector_of(content, **windows).network
