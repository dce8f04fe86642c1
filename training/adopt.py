"""Two runs of encoders -> one with the first's trunk, whose head says what both say.

    python -m training.adopt --run RUN --other RUN --share 0.25 --data corpus/train.tsv

What networks that were trained apart know adds up, what they cost as well. But what the other's head looks
for is in these states too, well enough to be fitted to them: its hidden units for windows beside the first's
own, by a linear layer over statistics that are computed once; for frames a part as large as the first's, by
what both say together. Of that the other has a share. Labels are not looked at.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from training import models
from training.batches import Batch, Composition, drawn
from training.checkpoints import checkpoint, detector_of
from training.config import TrainConfig, TrainingError
from training.datasets import read
from training.derived import record
from training.encoder import EncoderNet
from training.fitting import geometry
from training.heads import HIDDEN, Standardise, stacked
from training.hearing import brought, listening, miss
from training.probe import descend
from training.refusals import in_a_line
from training.teacher import LOGIT_WEIGHT

BATCHES, COMPOSITION = 300, Composition(pairs=4, real=20, spoof=20, source_share=1.0, splice_share=0.3)
FRAMES_KEPT = 400  # of each batch
STEPS, DECAY, DROPOUT = 1200, 0.1, 0.1


@dataclass(frozen=True)
class Heard:
    """What the first makes of some sound, and what is said of it."""

    states: Tensor  # (n, width) float16: statistics of windows, or frames
    units: Tensor  # (n, units): the other's of windows; of frames the logit of both as one unit


@torch.no_grad()
def heard(
    network: EncoderNet, other: EncoderNet, share: float, batches: Iterator[Batch], count: int
) -> tuple[Heard, Heard]:
    """Windows and frames of `count` batches; of what is said of frames the other has a share."""
    windows: list[tuple[Tensor, Tensor]] = []
    frames: list[tuple[Tensor, Tensor]] = []
    for _ in tqdm(range(count), desc="sound that both hear", leave=False):
        waveform = next(batches).waveform
        own = network.states(waveform)
        units, framed = other.head.hidden(other.states(waveform))
        windows.append((network.head.statistics(own).half(), units))
        states = network.head.framed(own)
        said = network.head.frame(network.head.frame_scale(states))  # (B, F, 1)
        theirs = brought(other.head.frame[HIDDEN:](framed), said.shape[1])
        kept = torch.randperm(said.numel())[:FRAMES_KEPT]
        both = torch.lerp(said, theirs, share)
        frames.append((states.flatten(0, 1)[kept].half(), both.flatten(0, 1)[kept]))
    return _together(windows), _together(frames)


def _together(parts: list[tuple[Tensor, Tensor]]) -> Heard:
    states, units = zip(*parts, strict=True)
    return Heard(torch.cat(states), torch.cat(units))


def fitted(
    layer: nn.Module, scale: Standardise, told: Heard, judged: nn.Module | None = None, steps: int = STEPS
) -> None:
    """Fit a layer in place: from scaled states to units, and to what these are judged to be where that is
    known.
    """

    def loss_of(rows: Tensor) -> Tensor:
        found, units = layer(scale(told.states[rows].float())), told.units[rows]
        loss = miss(found, units)
        return loss if judged is None else loss + LOGIT_WEIGHT * miss(judged(found), judged(units))

    descend(layer.parameters(), loss_of, told.units, steps, DECAY)


def joined(
    network: EncoderNet, other: EncoderNet, share: float, windows: Heard, frames: Heard, whole: EncoderNet
) -> None:
    """Set a network in place to the first with the other's units beside its own, which have a share of its
    window logits, as of its frame logits.
    """
    judge = other.head.window[HIDDEN:].eval().requires_grad_(False)
    layer = nn.Linear(network.head.width, other.head.units)
    towards = nn.Sequential(nn.Dropout(DROPOUT), layer, nn.GELU())
    fitted(towards, network.head.statistics_scale, windows, judge)
    fitted(network.head.frame.requires_grad_(True), network.head.frame_scale, frames)
    beside(network, other, share, layer, whole)


@torch.no_grad()
def beside(network: EncoderNet, other: EncoderNet, share: float, layer: nn.Linear, whole: EncoderNet) -> None:
    """Set a network in place to the first with the units that a layer tells beside its own; what judges those
    is the other's.
    """
    whole.trunk.load_state_dict(network.trunk.state_dict())
    for part in ("statistics_scale", "frame_scale", "frame"):
        getattr(whole.head, part).load_state_dict(getattr(network.head, part).state_dict())
    scale, places = network.head.statistics_scale, torch.arange(network.head.width)
    parts = network.head.window, nn.Sequential(layer, other.head.window[-1])
    told = [(part, scale, places, places) for part in parts]
    stacked(whole.head.window, told, scale, (1 - share, share))


def run(first_run: str, other_run: str, share: float, data: Path, extra: list[Path], name: str) -> str:
    """One MLflow run that holds the network; returns its id."""
    if not 0 < share < 1:
        raise TrainingError(f"The other's share is {share}; give one between 0 and 1.")
    contents = [checkpoint(one) for one in (first_run, other_run)]
    network, other = (models.in_llrs(detector_of(content)) for content in contents)
    if not (isinstance(network, EncoderNet) and isinstance(other, EncoderNet)):
        raise TrainingError(
            f"The runs hold {type(network).__name__} and {type(other).__name__}; give two of encoders."
        )
    if network.window_samples != other.window_samples:
        raise TrainingError(
            f"Windows have {network.window_samples} and {other.window_samples} samples; give two runs with "
            "the same."
        )
    config = replace(
        TrainConfig(**contents[0]["config"]),
        hidden=network.head.units + other.head.units, frame_units=network.head.frame_units,
    )  # fmt: skip
    torch.manual_seed(config.seed)
    lists = [read(part, "train") for part in (data, *extra)]
    batches = drawn(lists, COMPOSITION, geometry(network, config), config.strength, config.seed)
    both = heard(listening(network), listening(other), share, batches, BATCHES)
    whole = models.build(config.as_dict()).network
    assert isinstance(whole, EncoderNet)
    joined(network, other, share, *both, whole)
    parts = {"first_run": first_run, "other_run": other_run, "share": str(share)}
    return record(models.rounded(whole), config, contents[0], data, name, parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, help="MLflow run id of the encoder whose trunk is kept")
    parser.add_argument("--other", required=True, help="MLflow run id of the one whose word is added")
    parser.add_argument("--share", type=float, default=0.5, help="of what is said, the other's (0.5)")
    parser.add_argument(
        "--data", type=Path, required=True, help="protocol whose training clips both hear; dev calibrates"
    )
    parser.add_argument("--extra", type=Path, nargs="*", default=[], help="further protocols, to hear only")
    parser.add_argument("--name", default="adopted")
    args = parser.parse_args()
    with in_a_line():
        run(args.run, args.other, args.share, args.data, args.extra, args.name)


if __name__ == "__main__":
    main()
