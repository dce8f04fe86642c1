"""An exported file -> a run that training can go on from, where the run that it came from is gone.

    python -m export.restore --data corpus/train.tsv --part encoder --set layers=3 full_rate=2

Norms that export folded into their convolutions come back as shifts; weights kept in integers or float16 come
back as rounded as they are. The run is calibrated on dev anew.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Container
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from export.graph import passed
from export.int8 import KINDS, floated, widen
from export.to_onnx import ExportError, manifest_of
from serving.models import BUNDLE
from training import models
from training.config import TrainingError
from training.datasets import DataError
from training.derived import record
from training.encoder import EncoderNet
from training.train import settings

LAYER = re.compile(r".*/trunk/layers\.\d+/up/MatMul")
ARCHITECTURES = {"encoder": "encoder", "small": "rescnn"}  # of the parts of a fused network


def _module(node: str) -> str:
    """/network/head/window/window.1/Gemm -> head.window.1, the module that a node's name speaks of."""
    parts = node.strip("/").split("/")[:-1]
    following = [*parts[1:], ""]
    path = ".".join(
        one for one, after in zip(parts, following, strict=True) if not after.startswith(f"{one}.")
    )
    return path.removeprefix("network.")


def _norm(module: str) -> str:
    """The norm that follows a convolution of the small network."""
    return module.replace("conv", "norm").replace("stem.0", "stem.1")


def _products(
    graph: onnx.GraphProto, stored: dict[str, np.ndarray], scope: str, wanted: Container[str]
) -> dict[str, np.ndarray]:
    """State name -> value, of the weighted products whose tensors export renamed, where the name is wanted:
    a file's other parts are no network's. What several nodes of a module hold are parts of one value, in
    their order.
    """
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    for node in graph.node:
        held = [stored[name] for name in node.input if name in stored]
        weighted = node.op_type in KINDS and node.input[1] in stored
        if not weighted and not (node.op_type == "Add" and held and held[0].ndim == 1):
            continue
        path = _module(node.name).removeprefix(scope)
        if weighted:
            parts[f"{path}.weight"].append(held[0].T if node.op_type == "MatMul" else held[0])
        for bias in held[1:] if weighted else held:
            for module in {path, _norm(path)}:
                parts[f"{module}.bias"].append(bias)
    return {name: np.concatenate(values) for name, values in parts.items() if name in wanted}


def _unrolled(value: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """A product's weight (out, reach * in) as that of the convolution along time (out, in, reach) that it
    computes; any other as it is.
    """
    if value is None or value.ndim != 2 or len(shape) != 3 or value.size != np.prod(shape):
        return value
    out, inner, reach = shape
    return value.reshape(out, reach, inner).transpose(0, 2, 1)


def _plain_norms(network: nn.Module) -> dict[str, np.ndarray]:
    """State name -> value, of norms that change nothing: what export folded comes back in their shifts."""
    found = {}
    for name, norm in network.named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            one = np.ones(norm.num_features, np.float32)
            found[f"{name}.weight"], found[f"{name}.running_mean"] = one, 0 * one
            found[f"{name}.running_var"] = (1 - norm.eps) * one
            found[f"{name}.num_batches_tracked"] = np.array(0)
    return found


def _tokens(graph: onnx.ModelProto, window_samples: int) -> list[int]:
    """How many tokens of a window each of the encoder's layers sees: no weight's shape says so."""
    ends = [node.output[0] for node in graph.graph.node if LAYER.fullmatch(node.name)]
    window = np.random.default_rng(0).normal(0, 0.1, (1, window_samples)).astype(np.float32)
    return [found.shape[1] for found in next(passed(graph, ends, [window]))]


def _check_tokens(network: EncoderNet, graph: onnx.ModelProto, window_samples: int) -> None:
    """Raises ExportError where the file's layers see other numbers of tokens than the network's."""
    there = _tokens(graph, window_samples)
    here = [state.shape[1] for state in network.states(torch.zeros(1, network.window_samples))[1:]]
    if here != there:
        raise ExportError(
            f"The file's layers see {there} tokens of a window, those of these settings {here}; "
            "give the full_rate of the run that it came from with --set, or say --other-rate"
        )


@torch.no_grad()
def restore(
    network: nn.Module, model: bytes, part: str, window_samples: int, other_rate: bool = False
) -> None:
    """Set an encoder's or a rescnn's weights in place to those of an exported file with windows of so many
    samples; the network's frames may be finer or coarser.

    Raises ExportError where the file lacks one, holds another shape or, unless `other_rate` is meant, runs
    its layers at another rate.
    """
    graph = onnx.load_from_string(floated(model))
    widen(graph)
    stored = {entry.name: numpy_helper.to_array(entry) for entry in graph.graph.initializer}
    fused = any(name.startswith(f"network.{part}.") for name in stored)
    prefix = f"network.{part}." if fused else "network."
    # Nodes of the encoder have no scope of its own: its parts are called one by one.
    targets = network.state_dict()
    products = _products(graph.graph, stored, "small." if fused and part == "small" else "", targets)
    others = _plain_norms(network) | products
    for name, target in targets.items():
        value = _unrolled(stored.get(prefix + name, others.get(name)), tuple(target.shape))
        if value is None or value.shape != tuple(target.shape):
            there = "nothing" if value is None else f"shape {value.shape}"
            raise ExportError(
                f"The file holds {there} for {part} {name}, expected shape {tuple(target.shape)}; "
                "give the settings of the run that it came from with --set"
            )
        target.copy_(torch.from_numpy(np.array(value)))
    if isinstance(network, EncoderNet) and not other_rate:
        _check_tokens(network.eval(), graph, window_samples)


def run(path: Path, part: str, changes: list[str], data: Path, name: str, other_rate: bool = False) -> str:
    """One MLflow run that holds the restored part; returns its id."""
    model = path.read_bytes()
    manifest = manifest_of(onnx.load_from_string(model))
    config = settings(changes, ARCHITECTURES[part])
    network = models.build(config.as_dict()).network
    restore(network, model, part, manifest.window_samples, other_rate)
    facts = ("trained_on", "data_fingerprint", "git_commit", "smoke")
    content = {"manifest": {fact: getattr(manifest, fact) for fact in facts}}
    return record(models.rounded(network), config, content, data, name, {"of_version": manifest.version})


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=BUNDLE, help="exported file (the shipped one)")
    parser.add_argument(
        "--part", choices=sorted(ARCHITECTURES), required=True, help="of a fused network, or the whole"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="protocol whose dev split calibrates the run"
    )
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the run it came from"
    )
    parser.add_argument(
        "--other-rate",
        action="store_true",
        help="the encoder's layers are to see other tokens than the file's",
    )
    parser.add_argument("--name", default="restored")
    args = parser.parse_args()
    try:
        run(args.model, args.part, args.set, args.data, args.name, args.other_rate)
    except (DataError, ExportError, TrainingError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
