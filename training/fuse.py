"""Two runs, an encoder and a rescnn -> one run whose network adds their logits, weighted and calibrated on
dev.

    python -m training.fuse --encoder RUN --small RUN --data corpus/train.tsv
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize

from training import models
from training.calibrate import source_weights
from training.checkpoints import checkpoint, network_of
from training.config import TrainingError, configure, shape_of, small_of
from training.datasets import Clip, read
from training.derived import record
from training.encoder import EncoderNet
from training.fused import FusedNet
from training.pool import CACHE, VARIANTS, pool
from training.refusals import in_a_line
from training.rescnn import ResCnn
from training.scoring import Logits, heard


def _weights(first: np.ndarray, second: np.ndarray, spoof: np.ndarray, weight: np.ndarray) -> torch.Tensor:
    """(2,) weights of two logits by logistic regression on dev, both positive: each network keeps its say."""
    sign = np.where(spoof, 1.0, -1.0)
    unit = np.stack([first / first.std(), second / second.std()])

    def cost(x: np.ndarray) -> float:
        return float(np.sum(weight * np.logaddexp(0, -sign * (np.exp(x[:2]) @ unit + x[2]))))

    best = minimize(cost, np.zeros(3), method="Nelder-Mead").x
    return torch.tensor(np.exp(best[:2]) / [first.std(), second.std()], dtype=torch.float32)


def joined(first: Logits, second: Logits, network: FusedNet, dev: list[Clip]) -> None:
    """Set the network's weights from both networks' dev logits, for windows by clip means, for frames by
    frame means.
    """
    spoof = np.array([clip.label == "spoof" for clip in dev])
    each = source_weights(dev)
    network.window_weight.copy_(_weights(first.clip(), second.clip(), spoof, each))
    frames = [np.array([f.mean() for f in logits.frame]) for logits in (first, second)]
    network.frame_weight.copy_(_weights(frames[0], frames[1], spoof, each))


def run(encoder_run: str, small_run: str, data: Path, name: str) -> str:
    """One MLflow run that holds the fused network; returns its id."""
    contents = [checkpoint(r) for r in (encoder_run, small_run)]
    encoder, small = (models.rounded(network_of(content)) for content in contents)
    if not (isinstance(encoder, EncoderNet) and isinstance(small, ResCnn)):
        raise TrainingError(
            f"Runs hold {type(encoder).__name__} and {type(small).__name__}; give an encoder and a rescnn."
        )
    theirs = contents[0]["config"]
    if encoder.window_samples != small.window_samples:
        raise TrainingError(
            f"The encoder's windows have {encoder.window_samples} samples, the rescnn's "
            f"{small.window_samples}; give two with the same."
        )
    dev = read(data, "dev")
    windows = {"window_samples": encoder.window_samples, "hop_samples": encoder.window_samples}
    hops = {"small_hop_samples": small.frame_hop_samples}
    shape = {"width": small_of(contents[1]["config"])["width"]} | shape_of(theirs) | windows | hops
    config = configure("encoder", {"architecture": "fused"} | shape)
    dev_pool = pool([dev], CACHE)
    network = FusedNet(encoder, small)
    each = [
        heard(part, dev_pool, len(dev), replace(config, frame_hop_samples=part.frame_hop_samples))
        for part in (encoder, small)
    ]
    first, second = (sum(found.values(), Logits([], [])) for found in each)
    joined(first, second, network, dev * len(VARIANTS))
    parts = {"encoder_run": encoder_run, "small_run": small_run}
    return record(network, config, contents[0], data, name, parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", required=True, help="MLflow run id of the encoder")
    parser.add_argument("--small", required=True, help="MLflow run id of the rescnn")
    parser.add_argument("--data", type=Path, required=True, help="protocol whose dev split is used")
    parser.add_argument("--name", default="fused")
    args = parser.parse_args()
    with in_a_line():
        run(args.encoder, args.small, args.data, args.name)


if __name__ == "__main__":
    main()
