"""A run of an encoder -> one whose layers have fewer heads of attention and units of their MLPs: cheaper, and
mended without training.

    python -m training.narrow --run RUN --data corpus/train.tsv --heads 6 --mlp 768

A layer at a time, of what its last products are told the parts go that the others can best make up for, by
least squares over what training clips leave there (optimal brain surgeon, Hassibi and Stork 1993). Labels are
not looked at. What is lost still is won back by `training.train --start` with the run before as its teacher,
of what training clips ask for: measure sources held out too, they may miss what dev does not.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from training import models
from training.batches import Composition, drawn
from training.checkpoints import checkpoint, network_of
from training.config import TrainConfig, TrainingError
from training.datasets import read
from training.derived import record
from training.encoder import HEAD_WIDTH, EncoderNet
from training.fitting import geometry
from training.refusals import in_a_line

BATCHES = 24  # that moments are taken over
AT_ONCE = 16  # units that go before the others' costs are worked out anew
RIDGE = 1e-4  # of the inputs' mean square, so that moments can be inverted


class Thinned(NamedTuple):
    """What is left of a product."""

    kept: Tensor  # (k,) places of its inputs
    weight: Tensor  # (out, k)
    bias: Tensor  # (out,)
    lost: float  # share of the output's variance


def thinned(weight: Tensor, bias: Tensor, moments: Tensor, keep: int, group: int = 1) -> Thinned:
    """The product weight (out, n) of fewer inputs: `keep` groups, each `group` neighbours, and what the
    others said told by these and the bias as well as least squares can.

    `moments` (n + 1, n + 1) are the mean products of any two inputs, the last of which is always 1.
    """
    n = weight.shape[1]
    moments = moments.double()
    whole = torch.cat([weight, bias[:, None]], dim=1).double()
    mean = moments[:n, n]
    spread = ((whole[:, :n] @ (moments[:n, :n] - torch.outer(mean, mean))) * whole[:, :n]).sum().item()
    inverse = torch.linalg.inv(moments + RIDGE * moments.diagonal()[:n].mean() * torch.eye(n + 1))
    kept, lost = torch.arange(n), 0.0
    while (groups := len(kept) // group) > keep:
        blocks = inverse[:-1, :-1].reshape(groups, group, groups, group)
        own = torch.linalg.inv(blocks.diagonal(dim1=0, dim2=2).permute(2, 0, 1))  # (groups, group, group)
        parts = whole[:, :-1].reshape(-1, groups, group)
        cost = torch.einsum("ogi,gij,ogj->g", parts, own, parts)
        going = cost.argsort()[: min(max(1, AT_ONCE // group), groups - keep)]
        gone = (going[:, None] * group + torch.arange(group)).flatten()
        block, said = torch.linalg.inv(inverse[gone][:, gone]), whole[:, gone]
        lost += ((said @ block) * said).sum().item()
        made_up = block @ inverse[gone]  # (gone, all)
        stays = torch.ones(len(inverse), dtype=torch.bool)
        stays[gone] = False
        whole = (whole - said @ made_up)[:, stays]
        inverse = (inverse - inverse[:, gone] @ made_up)[stays][:, stays]
        kept = kept[stays[:-1]]
    return Thinned(kept, whole[:, :-1].float(), whole[:, -1].float(), lost / spread)


@torch.no_grad()
def moments_of(product: nn.Linear, network: EncoderNet, waveforms: Sequence[Tensor]) -> Tensor:
    """(n + 1, n + 1) mean products of a layer's inputs and 1, over all tokens of waveforms (B, N) each."""
    sums, count = torch.zeros(product.in_features + 1, product.in_features + 1), 0

    def note(_: nn.Module, told: tuple[Tensor, ...]) -> None:
        nonlocal count
        tokens = told[0].reshape(-1, product.in_features)
        tokens = torch.cat([tokens, torch.ones(len(tokens), 1)], dim=1)
        sums.addmm_(tokens.T, tokens)
        count += len(tokens)

    hook = product.register_forward_pre_hook(note)
    for waveform in waveforms:
        network.states(waveform)
    hook.remove()
    return sums / count


@torch.no_grad()
def narrowed(network: EncoderNet, narrow: EncoderNet, waveforms: Sequence[Tensor]) -> None:
    """Set a network's weights in place to those of one with more heads and units, layer by layer, each fitted
    to what the narrower ones below it leave of the waveforms; the wider network is narrowed on the way.
    """
    trunk = network.trunk
    for layer in tqdm(trunk.layers, desc="layers", leave=False):
        found = moments_of(layer.out, network, waveforms)
        out = thinned(layer.out.weight, layer.out.bias, found, narrow.trunk.heads, HEAD_WIDTH)
        told = torch.cat([out.kept + third * layer.out.in_features for third in range(3)])
        _hold(layer.qkv, layer.qkv.weight[told], layer.qkv.bias[told])
        _hold(layer.out, out.weight, out.bias)
        found = moments_of(layer.down, network, waveforms)
        down = thinned(layer.down.weight, layer.down.bias, found, narrow.trunk.mlp)
        _hold(layer.up, layer.up.weight[down.kept], layer.up.bias[down.kept])
        _hold(layer.down, down.weight, down.bias)
        print(f"variance lost: attention {out.lost:.3f}, MLP {down.lost:.3f}", flush=True)
    narrow.load_state_dict(network.state_dict())


def _hold(product: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    """Give a product these weights in place, of whatever shape."""
    product.out_features, product.in_features = weight.shape
    product.weight, product.bias = nn.Parameter(weight), nn.Parameter(bias)


def run(wide_run: str, data: Path, extra: list[Path], heads: int, mlp: int, name: str) -> str:
    """One MLflow run that holds the narrower network; returns its id."""
    content = checkpoint(wide_run)
    network = network_of(content)
    if not isinstance(network, EncoderNet):
        raise TrainingError(f"The run holds a {type(network).__name__}; give one of an encoder.")
    for what, asked, found in (("heads", heads, network.trunk.heads), ("mlp", mlp, network.trunk.mlp)):
        if not 0 < asked <= found:
            raise TrainingError(f"--{what} is {asked}; the run has {found}, give 1 to as many.")
    config = replace(TrainConfig(**content["config"]), heads=heads, mlp=mlp)
    lists = [read(part, "train") for part in (data, *extra)]
    composition = replace(Composition.of(config), pairs=0, real=25, spoof=25)
    batches = drawn(lists, composition, geometry(network, config), config.strength, config.seed)
    narrow = models.build(config.as_dict()).network
    assert isinstance(narrow, EncoderNet)
    narrowed(network, narrow, [next(batches).waveform for _ in range(BATCHES)])
    return record(models.rounded(narrow), config, content, data, name, {"wide_run": wide_run})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, help="MLflow run id of the encoder")
    parser.add_argument(
        "--data", type=Path, required=True, help="protocol whose training clips it hears; dev calibrates it"
    )
    parser.add_argument("--extra", type=Path, nargs="*", default=[], help="further protocols, to hear only")
    parser.add_argument("--heads", type=int, required=True, help="of attention that each layer keeps")
    parser.add_argument("--mlp", type=int, required=True, help="units that each layer's MLP keeps")
    parser.add_argument("--name", default="narrow")
    args = parser.parse_args()
    with in_a_line():
        run(args.run, args.data, args.extra, args.heads, args.mlp, args.name)


if __name__ == "__main__":
    main()
