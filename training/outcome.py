"""What a run leaves behind: calibration, the facts for the manifest, the checkpoint and the plots."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from torch import nn

from serving.audio import SAMPLE_RATE
from serving.manifest import SCHEMA
from serving.verdict import smooth
from training import models, plots, tracking
from training.calibrate import (
    Affine,
    fit,
    source_shift,
    source_weights,
    threshold_for_false_alarms,
    threshold_for_misses,
)
from training.config import TrainConfig
from training.datasets import Clip, data_fingerprint
from training.metrics import act_dcf, auc, cllr, eer, min_dcf
from training.pool import CACHE, pool
from training.scoring import Logits, heard

# Of dev's real clips at the shipped threshold: calling a real voice fake is the costly error, and on sources
# that dev does not know it happens several times as often.
FALSE_ALARM_RATE = 0.01
MISS_RATE = 0.05  # of dev's spoofs that may be called real; between the two thresholds no verdict is given
CONTROL_RATE = 0.01  # of dev's real 3 s clips that may show a span: test has several times as many
TAIL = 0.1  # share of the real clips, the highest peaks, that tell how fast peaks fall off
# A span grows over its neighbours where spoof is the likelier, LLR 0.
SPAN = {"grow": 0.0, "min_s": 0.3, "gap_s": 0.25, "smooth_s": 0.6}
LICENCE = "MIT"


@dataclass(frozen=True)
class Facts:
    """What is known of a run before it starts."""

    trained_on: str
    fingerprint: str
    git_commit: str
    smoke: bool

    def tags(self) -> dict[str, str]:
        return {
            "trained_on": self.trained_on,
            "data_fingerprint": self.fingerprint,
            "git_commit": self.git_commit,
            "smoke": str(self.smoke).lower(),
        }


@dataclass(frozen=True)
class Calibration:
    window: Affine
    frame: Affine


def facts(data: Path, clips: list[Clip], smoke: bool) -> Facts:
    real = sum(c.label == "bonafide" for c in clips)
    sources, attacks = len({c.source for c in clips}), len({c.attack for c in clips if c.label == "spoof"})
    counts = f"{real} real and {len(clips) - real} spoofed clips, {sources} sources, {attacks} generators"
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=tracking.ROOT)
    return Facts(f"{data.name}: {counts}", data_fingerprint(clips), commit.stdout.strip() or "unknown", smoke)


def calibrated(logits: Logits, clips: list[Clip]) -> Calibration:
    """Affine maps fitted on these clips: windows by the clips' means, frames by every third frame."""
    spoof = np.array([c.label == "spoof" for c in clips])
    weights = source_weights(clips)
    window = fit(logits.clip(), spoof, weights, source_shift(logits.clip(), clips))
    if not len(logits.frame[0]):
        return Calibration(window, Affine(1.0, 0.0))
    frames = [f[::3] for f in logits.frame]
    sizes = np.array([len(f) for f in frames])
    each = np.repeat(weights / sizes, sizes)
    shift = source_shift(np.array([f.mean() for f in frames]), clips)
    return Calibration(window, fit(np.concatenate(frames), np.repeat(spoof, sizes), each, shift))


def figures(llr: np.ndarray, spoof: np.ndarray) -> dict[str, float]:
    return {
        "auc": auc(llr, spoof),
        "eer": eer(llr, spoof),
        "cllr": cllr(llr, spoof),
        "min_dcf": min_dcf(llr, spoof),
        "act_dcf": act_dcf(llr, spoof),
    }


def span_rule(curves: list[np.ndarray], real: np.ndarray) -> dict[str, float]:
    """What spans are asked of over time, of each clip -> from the peaks of real ones the LLR that at most
    CONTROL_RATE of them reach, never below 0, and the mean excess in their tail, by which it has to rise in
    longer clips (Coles 2001, ch. 4).
    """
    peaks = np.array([curve.max() for curve, r in zip(curves, real, strict=True) if r])
    tail = float(np.quantile(peaks, 1 - TAIL))
    excess = peaks[peaks >= tail] - tail
    threshold = max(0.0, float(np.quantile(peaks, 1 - CONTROL_RATE)))
    return {"threshold": threshold, "rise": float(excess.mean()), **SPAN}


def smoothed(frame_llr: np.ndarray, frame_hop: int) -> np.ndarray:
    """LLRs of frames (F,), each of so many samples -> what spans are cut from where a model does not tell
    origins.
    """
    return smooth(frame_llr, round(SPAN["smooth_s"] * SAMPLE_RATE / frame_hop))


def manifest_facts(
    config: TrainConfig, logits: Logits, maps: Calibration, clips: list[Clip], described: Facts
) -> dict[str, Any]:
    """The manifest's fields that training knows; export adds version, run and date."""
    spoof = np.array([c.label == "spoof" for c in clips])
    llr, frames = maps.window(logits.clip()), bool(len(logits.frame[0]))
    high = threshold_for_false_alarms(llr, spoof, FALSE_ALARM_RATE)
    low = threshold_for_misses(llr, spoof, MISS_RATE)
    curves = [smoothed(maps.frame(f), config.frame_hop_samples) for f in logits.frame]
    flagged = span_rule(curves, ~spoof) if frames else {"threshold": high, **SPAN}
    return {
        "schema": SCHEMA,
        "name": tracking.MODEL,
        "git_commit": described.git_commit,
        "architecture": config.architecture,
        "trained_on": described.trained_on,
        "data_fingerprint": described.fingerprint,
        "smoke": described.smoke,
        "sample_rate": SAMPLE_RATE,
        "window_samples": config.window_samples,
        "hop_samples": config.hop_samples,
        "frame_hop_samples": config.frame_hop_samples if frames else 0,
        "short_clip": "repeat",
        "positive_class": "spoof",
        "pooling": {"kind": "mean"},
        "prior_log_odds": 0.0,
        "threshold": high,
        "inconclusive": [low, high],
        "span": flagged,
        "reference": {"llr_quantiles": [float(q) for q in np.quantile(llr, np.linspace(0, 1, 11))]},
        "licence": LICENCE,
    }


def save(
    network: nn.Module,
    config: TrainConfig,
    heard: dict[str, Logits],
    clips: list[Clip],
    described: Facts,
    path: Path,
) -> np.ndarray:
    """Calibrate on these clips in every variant and write the checkpoint that export reads; the LLRs (clips,)
    of the clips as they are.

    Clips come to users through codecs: LLRs fitted to clean clips alone are too sure, and so are thresholds.
    """
    every, listed = sum(heard.values(), Logits([], [])), clips * len(heard)
    maps = calibrated(every, listed)
    detector = models.Detector(network)
    detector.window_calibration.copy_(torch.tensor([maps.window.scale, maps.window.offset]))
    detector.frame_calibration.copy_(torch.tensor([maps.frame.scale, maps.frame.offset]))
    manifest = manifest_facts(config, every, maps, listed, described)
    llr = maps.window(heard["plain"].clip())
    mlflow.log_metrics(figures(llr, np.array([c.label == "spoof" for c in clips])))
    torch.save({"config": config.as_dict(), "model": detector.state_dict(), "manifest": manifest}, path)
    return llr


def log_plots(llr: np.ndarray, clips: list[Clip]) -> None:
    """Score histogram, DET and reliability of the dev split's LLRs (clips,) as artefacts."""
    spoof = np.array([c.label == "spoof" for c in clips])
    for name, draw in (("scores", plots.scores), ("det", plots.det), ("reliability", plots.reliability)):
        mlflow.log_figure(draw(llr, spoof), f"plots/{name}.png")


def leave(network: nn.Module, config: TrainConfig, dev: list[Clip], described: Facts, run_id: str) -> None:
    """Calibrate on dev, put checkpoint and plots into the active run, and say its id."""
    found = heard(network, pool([dev], CACHE), len(dev), config)
    path = folder_of(run_id) / tracking.CHECKPOINT
    llr = save(network, config, found, dev, described, path)
    mlflow.log_artifact(str(path))
    log_plots(llr, dev)
    print(f"run {run_id}")


def folder_of(run_id: str) -> Path:
    """Where a run keeps what it writes as it goes."""
    folder = Path(f"data/runs/{run_id}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
