"""A run with an encoder -> the same with a third output: how unlike its training data each window is.

    python -m training.familiar --run RUN --data corpus/train.tsv --extra data/packages/packages.tsv

The Gaussian is fitted to windows as training hears them, after the channel: noise or a telephone is not news.
"""

import argparse
from pathlib import Path
from typing import Any

import mlflow
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from serving.audio import chunks
from training import models, tracking
from training.batches import Batches, Composition
from training.checkpoints import checkpoint
from training.config import configure
from training.datasets import Clip, read
from training.derived import derived
from training.novelty import Novelty
from training.outcome import folder_of
from training.pool import CACHE, VARIANTS, Pool, pool
from training.scoring import MAX_WINDOWS

AXES = 64
BATCHES = 250


@torch.no_grad()
def _of_batches(network: nn.Module, lists: list[list[Clip]], config: Any) -> Tensor:
    """(n, D) statistics of windows drawn as in training."""
    clips = [clip for part in lists for clip in part]
    geometry = (config.window_samples, models.FRAME_HOP_SAMPLES, 0)
    source = Batches(clips, [], pool(lists, CACHE), Composition.of(config), geometry, config.strength, 0)
    batches = iter(DataLoader(source, batch_size=None, num_workers=1, prefetch_factor=8))
    shown = tqdm(range(BATCHES), desc="statistics of training data")
    return torch.cat([network.with_statistics(next(batches).waveform)[2].flatten(0, 1) for _ in shown])


@torch.no_grad()
def _of_clips(detector: models.Detector, held: Pool, count: int, config: Any) -> Tensor:
    """(variants * count,) mean novelty of each clip, as it is and as a codec leaves it."""

    def mean(index: int, variant: str) -> Tensor:
        samples, window = held.get(index, variant), config.window_samples
        parts = chunks([samples], window, config.hop_samples, MAX_WINDOWS)
        return torch.cat([detector(torch.from_numpy(part.samples)[None])[2][0] for part in parts]).mean()

    return torch.stack([mean(index, variant) for variant in VARIANTS for index in range(count)])


def run(of: str, data: Path, extra: list[Path], name: str) -> str:
    """One MLflow run that holds the detector with its novelty; returns its id."""
    content = checkpoint(of)
    config = configure("encoder", content["config"] | {"novelty": AXES})
    detector = models.build(content["config"])
    detector.load_state_dict(content["model"])
    network = detector.eval().network
    statistics = _of_batches(network, [read(part, "train") for part in (data, *extra)], config)
    detector.novelty = Novelty(statistics.shape[1], AXES)
    detector.novelty.fit(statistics)
    dev = read(data, "dev")
    detector.novelty.scale_to(_of_clips(detector, pool([dev], CACHE), len(dev), config))
    with derived(content, name, config.as_dict() | {"run": of, "data": str(data.resolve())}) as (run_id, _):
        path = folder_of(run_id) / tracking.CHECKPOINT
        torch.save(content | {"config": config.as_dict(), "model": detector.state_dict()}, path)
        mlflow.log_artifact(str(path))
        print(f"run {run_id}")
        return run_id


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, help="MLflow run id of an encoder or a fused network")
    parser.add_argument("--data", type=Path, required=True, help="protocol with train and dev")
    parser.add_argument(
        "--extra", type=Path, nargs="*", default=[], help="further protocols that it learned from"
    )
    parser.add_argument("--name", default="familiar")
    args = parser.parse_args()
    run(args.run, args.data, args.extra, args.name)


if __name__ == "__main__":
    main()
