"""A model file with random weights, which costs what a trained one costs.

python -m bench.standin rescnn --out rescnn.onnx
"""

import argparse
import tempfile
from pathlib import Path

import torch

from export.to_onnx import export, read_checkpoint
from serving.whole import write_whole
from training import models
from training.config import PRESETS


def write(architecture: str, path: Path) -> Path:
    """Export the untrained network of a preset, weights rounded as training rounds them."""
    config = PRESETS[architecture].as_dict()
    torch.manual_seed(0)
    detector = models.build(config)
    models.rounded(detector.network)
    facts = {
        "schema": 1, "name": "bonafide", "git_commit": "", "architecture": architecture, "smoke": True,
        "trained_on": "nothing: random weights, to measure time", "data_fingerprint": "none",
        "sample_rate": 16_000, "window_samples": config["window_samples"],
        "hop_samples": config["hop_samples"],
        "frame_hop_samples": 0 if architecture == "seed" else config["frame_hop_samples"],
        "short_clip": "repeat", "positive_class": "spoof", "pooling": {"kind": "mean"}, "prior_log_odds": 0.0,
        "threshold": 0.0, "inconclusive": [0.0, 0.0],
        "span": {"threshold": 0.0, "min_s": 0.3, "gap_s": 0.2, "smooth_s": 0.4}, "licence": "MIT",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.pt"
        torch.save({"config": config, "model": detector.state_dict(), "manifest": facts}, checkpoint)
        content = export(read_checkpoint(checkpoint))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.standin", description=__doc__)
    parser.add_argument("architecture", choices=sorted(PRESETS))
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    print(write(chosen.architecture, chosen.out))


if __name__ == "__main__":
    main()
