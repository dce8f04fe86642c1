"""Runs of one network that went on from the same weights -> one run with their mean weights.

    python -m training.soup --runs RUN RUN RUN --data corpus/train.tsv [--heads]

Fine-tuned weights that share a start lie in one basin, and their mean holds better on what none of them saw
than any of them (Wortsman et al. 2022, Rame et al. 2022), at the cost of one network. With --heads only the
encoders' trunks are averaged, as all start from Whisper; the heads, which do not, stand side by side, with a
say by their calibrations. A run of fewer layers adds a head over the lower states: where the others left
those to Whisper (untuned), as it did, its head hears just what it learnt from.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training import models
from training.checkpoints import checkpoint, detector_of
from training.config import TrainingError, configure, shape_of, small_of
from training.datasets import read
from training.derived import record
from training.encoder import EncoderNet
from training.fitting import dev_metrics
from training.pool import CACHE, pool
from training.refusals import in_a_line
from training.scoring import score


@torch.no_grad()
def mean(networks: list[nn.Module]) -> nn.Module:
    """The first network, its weights set in place to the mean of all. Or TrainingError on other shapes."""
    states = [network.state_dict() for network in networks]
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    if any(shape != shapes[0] for shape in shapes):
        raise TrainingError("The runs hold networks of different shapes; give runs that share a start.")
    networks[0].load_state_dict({name: _mean([state[name] for state in states]) for name in states[0]})
    return networks[0]


@torch.no_grad()
def side_by_side(networks: list[EncoderNet], shape: dict[str, Any]) -> EncoderNet:
    """An encoder with the mean trunk, whose logits are the means of what the heads say of it.

    A head that is told fewer statistics, or of fewer states, than another is deaf to the rest. Raises
    TrainingError where none is told all.
    """
    whole = EncoderNet(networks[0].window_samples, **shape)
    heads = [network.head for network in networks]
    widest = max(heads, key=lambda head: head.width)
    if widest.width < whole.head.width:
        raise TrainingError(
            f"Side by side the heads are told {whole.head.width} statistics, no run has the scales of more "
            f"than {widest.width}; give one with the most layers and the most statistics."
        )
    trunks = [network.trunk.state_dict() for network in networks]
    for name, weights in whole.trunk.state_dict().items():
        weights.copy_(_mean([trunk[name] for trunk in trunks if name in trunk]))
    whole.head.statistics_scale.load_state_dict(widest.statistics_scale.state_dict())
    whole.head.frame_scale.load_state_dict(widest.frame_scale.state_dict())
    whole.head.stack(heads)
    return whole.eval()


def _mean(tensors: list[Tensor]) -> Tensor:
    """Counters, such as a norm's number of batches, stay integers."""
    return torch.stack([tensor.double() for tensor in tensors]).mean(dim=0).to(tensors[0].dtype)


def common_shape(configs: list[dict[str, Any]], heads: bool = False) -> dict[str, Any]:
    """The settings that the mean's weights fit; with `heads` it holds all of theirs, and has the most layers
    and statistics that one of them has.

    Raises TrainingError where the rest differ: tensors of one size may still mean different things.
    """
    shapes = [shape_of(config) for config in configs]
    if heads:
        most: dict[str, Any] = {key: max(shape[key] for shape in shapes) for key in ("layers", "statistics")}
        most["hidden"] = sum(shape["hidden"] for shape in shapes)
        most["frame_units"] = sum(shape["frame_units"] or shape["hidden"] // 2 for shape in shapes)
        shapes = [shape | most for shape in shapes]
    if any(shape != shapes[0] for shape in shapes):
        raise TrainingError(
            f"The runs hold encoders of different shapes, {shapes}; give runs that share a start, and for "
            "--heads of one full_rate."
        )
    return shapes[0]


def run(runs: list[str], data: Path, name: str, heads: bool = False) -> str:
    """One MLflow run that holds the mean; prints dev figures of each and of the mean; returns its id."""
    contents = [checkpoint(one) for one in runs]
    detectors = [detector_of(content) for content in contents]
    networks = [models.in_llrs(one) if heads else one.network for one in detectors]
    shape = common_shape([content["config"] for content in contents], heads)
    encoders = [network for network in networks if isinstance(network, EncoderNet)]
    if heads and len(encoders) < len(networks):
        raise TrainingError("Heads stand side by side in encoders alone; give runs of encoders.")
    config = configure(contents[0]["config"]["architecture"], shape | small_of(contents[0]["config"]))
    dev = read(data, "dev")
    dev_pool = pool([dev], CACHE)

    def say(what: str, network: nn.Module) -> None:
        figures = dev_metrics(score(network, dev_pool, len(dev), config), dev)
        print(f"{what}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()), flush=True)

    for one, network in zip(runs, networks, strict=True):
        say(one, network)
    whole = models.rounded(side_by_side(encoders, shape) if heads else mean(networks))
    say("mean", whole)
    return record(whole, config, contents[0], data, name, {"runs": " ".join(runs)})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", nargs="+", required=True, metavar="RUN", help="MLflow run ids")
    parser.add_argument("--data", type=Path, required=True, help="protocol whose dev split is used")
    parser.add_argument("--heads", action="store_true", help="average trunks alone, keep every head")
    parser.add_argument("--name", default="soup")
    args = parser.parse_args()
    with in_a_line():
        run(args.runs, args.data, args.name, args.heads)


if __name__ == "__main__":
    main()
