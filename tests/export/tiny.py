"""A detector of two parameters that follows the graph contract: for tests of what surrounds a model.

Its LLR is `gain` times a window's log energy over `pivot`: louder is "spoof". Framing is exact, so that a
window's score does not depend on its neighbours.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from serving.manifest import Manifest

WINDOW_SAMPLES, HOP_SAMPLES, STEP_SAMPLES = 8000, 4000, 200


class Tiny(torch.nn.Module):
    """(B, N) -> (B, W)."""

    def __init__(self, gain: float = 2.0, pivot: float = -4.0) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(gain))
        self.pivot = torch.nn.Parameter(torch.tensor(pivot))
        kernel = torch.full((1, 1, STEP_SAMPLES), 1 / STEP_SAMPLES)
        self.register_buffer("kernel", kernel)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        power = torch.nn.functional.conv1d(waveform[:, None].square(), self.kernel, stride=STEP_SAMPLES)
        frames = WINDOW_SAMPLES // STEP_SAMPLES
        mean = torch.nn.functional.avg_pool1d(power, frames, HOP_SAMPLES // STEP_SAMPLES)[:, 0]  # (B, W)
        return self.gain * (torch.log(mean + 1e-9) - self.pivot)


class Leaky(Tiny):
    """Breaks the contract a little: every window's score moves with the whole input's level."""

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return super().forward(waveform) + 0.03 * waveform.abs().mean(1, keepdim=True)


class Fragile(Tiny):
    """Gives minus infinity on silence."""

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        silent = torch.log((waveform.abs().mean(1, keepdim=True) > 0).float())
        return super().forward(waveform) + silent


ARCHITECTURES: dict[str, type[Tiny]] = {"tiny": Tiny, "leaky": Leaky, "fragile": Fragile}


def build(config: dict[str, Any]) -> torch.nn.Module:
    """Stands in for training.models.build."""
    return ARCHITECTURES[config["architecture"]]()


def manifest(**changes: Any) -> Manifest:
    """A complete manifest of a model that is no smoke model."""
    facts: dict[str, Any] = {
        "schema": 1, "name": "bonafide", "version": "0", "run_id": "run", "git_commit": "abc",
        "created": "2026-01-01T00:00:00+00:00",
        "architecture": "tiny", "trained_on": "tones", "data_fingerprint": "f" * 64, "smoke": False,
        "sample_rate": 16_000, "window_samples": WINDOW_SAMPLES, "hop_samples": HOP_SAMPLES,
        "frame_hop_samples": 0,
        "short_clip": "repeat", "positive_class": "spoof", "pooling": {"kind": "mean"}, "prior_log_odds": 0.0,
        "threshold": 0.0, "inconclusive": [-0.1, 0.1],
        "span": {"threshold": 0.0, "min_s": 0.5, "gap_s": 0.25, "smooth_s": 0.0},
        "operating_points": [{"llr": 0.0, "miss": 0.0, "false_alarm": 0.0}],
        "metrics": [{"data": "tones", "split": "dev", "date": "2026-01-01", "figures": {"eer": 0.0}}],
        "reference": {}, "licence": "MIT",
    }  # fmt: skip
    return Manifest(**{**facts, **changes})


def save_checkpoint(
    path: Path, module: torch.nn.Module | None = None, *, architecture: str = "tiny", **changes: Any
) -> Path:
    """Writes checkpoint.pt as training does."""
    module = module or build({"architecture": architecture})
    facts = dataclasses.asdict(manifest(**changes))
    for later in ("version", "created", "run_id"):
        facts.pop(later)
    torch.save(
        {"config": {"architecture": architecture}, "model": module.state_dict(), "manifest": facts}, path
    )
    return path
