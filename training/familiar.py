"""A run with an encoder -> the same with a third output: how unlike its training data each window is.

    python -m training.familiar --run RUN --data corpus/train.tsv --extra data/packages/packages.tsv

The Gaussian is fitted to windows as training hears them, after the channel: noise or a telephone is not news.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from training import models
from training.batches import Composition, drawn
from training.checkpoints import checkpoint, detector_of
from training.config import TrainConfig, TrainingError, configure
from training.datasets import Clip, read
from training.derived import derived, keep
from training.encoder import EncoderNet
from training.novelty import Novelty
from training.pool import CACHE, VARIANTS, Pool, pool
from training.refusals import in_a_line
from training.scoring import chunks_of

AXES = 64
BATCHES = 250


@torch.no_grad()
def _of_batches(encoder: EncoderNet, lists: list[list[Clip]], config: TrainConfig) -> Tensor:
    """(n, D) statistics of windows drawn as in training."""
    geometry = (config.window_samples, config.frame_hop_samples, 0)
    batches = drawn(lists, Composition.of(config), geometry, config.strength, 0)
    shown = tqdm(range(BATCHES), desc="statistics of training data")
    return torch.cat([encoder.heard(next(batches).waveform).statistics.flatten(0, 1) for _ in shown])


@torch.no_grad()
def _of_clips(encoder: EncoderNet, novelty: Novelty, held: Pool, count: int, config: TrainConfig) -> Tensor:
    """(variants * count,) mean novelty of each clip, as it is and as a codec leaves it."""

    def of_windows(waveform: Tensor) -> Tensor:
        return novelty(encoder.heard(waveform).statistics)[0]

    def mean(index: int, variant: str) -> Tensor:
        parts = chunks_of(held.get(index, variant), config)
        return torch.cat([of_windows(torch.from_numpy(part.samples)[None]) for part in parts]).mean()

    return torch.stack([mean(index, variant) for variant in VARIANTS for index in range(count)])


def run(of: str, data: Path, extra: list[Path], name: str) -> str:
    """One MLflow run that holds the detector with its novelty; returns its id.

    Raises TrainingError where the run holds no encoder.
    """
    content = checkpoint(of)
    config = configure("encoder", content["config"] | {"novelty": AXES})
    detector = detector_of(content)
    encoder = models.encoder_of(detector.network)
    if encoder is None:
        raise TrainingError(f"Run {of} holds a {type(detector.network).__name__}; novelty needs an encoder.")
    statistics = _of_batches(encoder, [read(part, "train") for part in (data, *extra)], config)
    detector.novelty = Novelty(encoder.head.width, AXES)
    detector.novelty.fit(statistics)
    dev = read(data, "dev")
    of_dev = _of_clips(encoder, detector.novelty, pool([dev], CACHE), len(dev), config)
    detector.novelty.scale_to(of_dev)
    with derived(content, name, config.as_dict() | {"run": of, "data": str(data.resolve())}) as (run_id, _):
        return keep(detector, config, content, run_id)


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
    with in_a_line():
        run(args.run, args.data, args.extra, args.name)


if __name__ == "__main__":
    main()
