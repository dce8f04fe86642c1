"""Runs of one network that went on from the same weights -> one run with their mean weights.

    python -m training.soup --runs RUN RUN RUN --data corpus/train.tsv

Fine-tuned weights that share a start lie in one basin, and their mean holds better on what none of them saw
than any of them (Wortsman et al. 2022, Rame et al. 2022), at the cost of one network.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training import models
from training.checkpoints import checkpoint, network_of
from training.config import configure, shape_of
from training.datasets import read
from training.derived import record
from training.fitting import dev_metrics
from training.pool import CACHE, pool
from training.scoring import score


@torch.no_grad()
def mean(networks: list[nn.Module]) -> nn.Module:
    """The first network, its weights set in place to the mean of all. Raises ValueError on other shapes."""
    states = [network.state_dict() for network in networks]
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("The runs hold networks of different shapes; give runs that share a start.")
    networks[0].load_state_dict({name: _mean([state[name] for state in states]) for name in states[0]})
    return networks[0]


def _mean(tensors: list[Tensor]) -> Tensor:
    """Counters, such as a norm's number of batches, stay integers."""
    return torch.stack([tensor.double() for tensor in tensors]).mean(dim=0).to(tensors[0].dtype)


def common_shape(configs: list[dict[str, Any]]) -> dict[str, Any]:
    """The settings that the runs' weights fit. Raises ValueError where they differ: tensors of one size may
    still mean different things.
    """
    shapes = [shape_of(config) for config in configs]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError(
            f"The runs hold encoders of different shapes, {shapes}; give runs that share a start."
        )
    return shapes[0]


def run(runs: list[str], data: Path, name: str) -> str:
    """One MLflow run that holds the mean; prints dev figures of each and of the mean; returns its id."""
    contents = [checkpoint(one) for one in runs]
    networks = [network_of(content) for content in contents]
    shape = common_shape([content["config"] for content in contents])
    config = configure(contents[0]["config"]["architecture"], shape)
    dev = read(data, "dev")
    dev_pool = pool([dev], CACHE)

    def say(what: str, network: nn.Module) -> None:
        figures = dev_metrics(score(network, dev_pool, len(dev), config), dev)
        print(f"{what}: " + ", ".join(f"{k} {v:.4f}" for k, v in figures.items()), flush=True)

    for one, network in zip(runs, networks, strict=True):
        say(one, network)
    whole = models.rounded(mean(networks))
    say("mean", whole)
    return record(whole, config, contents[0], data, name, {"runs": " ".join(runs)})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", nargs="+", required=True, metavar="RUN", help="MLflow run ids")
    parser.add_argument("--data", type=Path, required=True, help="protocol whose dev split is used")
    parser.add_argument("--name", default="soup")
    args = parser.parse_args()
    run(args.runs, args.data, args.name)


if __name__ == "__main__":
    main()
