"""Two networks become one where they fit together."""

from pathlib import Path
from typing import Any

import pytest

from training import fuse, models
from training.config import TrainingError, configure


def content(architecture: str, frame_hop_samples: int) -> dict[str, Any]:
    config = configure(architecture, {"frame_hop_samples": frame_hop_samples}).as_dict()
    return {"config": config, "model": models.build(config).state_dict()}


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ({"one": ("encoder", 640), "two": ("rescnn", 512)}, "windows have 30720 samples, the rescnn's 24576"),
        ({"one": ("rescnn", 640), "two": ("rescnn", 640)}, "hold ResCnn and ResCnn; give an encoder and"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    runs: dict[str, tuple[str, int]], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuse, "checkpoint", lambda run: content(*runs[run]))
    with pytest.raises(TrainingError, match=said):
        fuse.run("one", "two", Path("/nowhere"), "fused")
