"""A run's checkpoint -> one ONNX file, raw waveform to calibrated LLRs, with its manifest inside.

python -m export.to_onnx RUN_ID_OR_CHECKPOINT --out detector.onnx
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
import torch

from export.compact import compact
from export.parity import TOLERANCE, largest_difference, probe_clips
from serving.detector import FRAMES, NOVELTY, ORIGIN, WINDOWS
from serving.manifest import METADATA_KEY, Manifest
from serving.whole import write_whole
from training import models
from training.checkpoints import fetched
from training.config import TrainingError

OPSET = 20  # has GELU as one node, which onnxruntime 1.17 and newer read
OUTPUT_AXES = {WINDOWS: "windows", FRAMES: "frames", NOVELTY: "windows", ORIGIN: "frames"}


class ExportError(Exception):
    """The checkpoint cannot become a bundle; the message says what was found and what to do."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What training leaves behind: how to build the network, its weights, the facts known by then."""

    config: dict[str, Any]
    weights: dict[str, torch.Tensor]
    manifest: dict[str, Any]

    def module(self) -> torch.nn.Module:
        """The trained detector in inference mode: (B, N) -> (B, W) or ((B, W), (B, F))."""
        module = models.build(self.config)
        module.load_state_dict(self.weights)
        return module.eval()


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads `checkpoint.pt` without running code from it; raises ExportError where it is not one."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(content["config"], content["model"], content["manifest"])
    except (
        Exception
    ) as error:  # unreadable, no zip, no tensors, other keys: torch and pickle raise a dozen types
        reason = str(error).splitlines()[0]
        raise ExportError(
            f"{path} is not a training checkpoint of tensors and plain values ({reason}); "
            "give a run id or a checkpoint.pt"
        ) from error


def fetch_checkpoint(run_or_path: str, folder: Path) -> Path:
    """A path as it is; a run's checkpoint downloaded into `folder`."""
    if Path(run_or_path).exists():
        return Path(run_or_path)
    try:
        return fetched(run_or_path, str(folder))
    except TrainingError as error:
        raise ExportError(f"{error} Nor is there a file of that name.") from error


def trace(module: torch.nn.Module, window_samples: int, hop_samples: int) -> onnx.ModelProto:
    """The module as a graph whose batch and time axes are dynamic, without the paths of this machine.

    By tracing: torch's newer exporter refuses lengths that are computed from lengths, as framing does, and
    its optimiser drops the addition of a constant below 1e-8, which makes log(x + 1e-9) infinite on silence.
    """
    example = torch.zeros(2, window_samples + 2 * hop_samples)
    with torch.no_grad():
        outputs = module(example)
    names = list(OUTPUT_AXES)[: len(outputs) if isinstance(outputs, tuple) else 1]
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # of tracing's age, and of sizes that become part of the graph
        torch.onnx.export(
            module, (example,), Path(folder) / "traced.onnx", dynamo=False, opset_version=OPSET,
            input_names=["waveform"], output_names=names,
            dynamic_axes={"waveform": _axes("samples"), **{name: _axes(OUTPUT_AXES[name]) for name in names}},
        )  # fmt: skip
        graph = onnx.load(Path(folder) / "traced.onnx")
    _strip(graph)
    compact(graph)
    onnx.checker.check_model(graph)
    return graph


def _axes(time: str) -> dict[int, str]:
    """Names of the two axes of an input or output."""
    return {0: "batch", 1: time}


def _strip(graph: onnx.ModelProto) -> None:
    """Drops what is not needed to run: descriptions and source paths."""
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.graph.metadata_props[:]
    for part in [
        *graph.graph.node,
        *graph.graph.initializer,
        *graph.graph.input,
        *graph.graph.output,
        *graph.functions,
    ]:
        part.doc_string = ""
        del part.metadata_props[:]


def stamp(graph: onnx.ModelProto, manifest: Manifest) -> bytes:
    """The graph's bytes with the manifest in its metadata, replacing any that was there; first, since
    serving looks for another entry at a file's end.
    """
    kept = [entry for entry in graph.metadata_props if entry.key != METADATA_KEY]
    del graph.metadata_props[:]
    graph.metadata_props.add(key=METADATA_KEY, value=manifest.to_json())
    graph.metadata_props.extend(kept)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def manifest_of(graph: onnx.ModelProto) -> Manifest:
    """The manifest inside a graph."""
    return Manifest.from_json(
        next(entry.value for entry in graph.metadata_props if entry.key == METADATA_KEY)
    )


def export(checkpoint: Checkpoint, *, run_id: str = "", version: str = "0") -> bytes:
    """The whole bundle file; raises ExportError where torch and ONNX differ or the manifest is incomplete."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    # Measured on the file, once there is one.
    later: dict[str, Any] = {"metrics": [], "operating_points": [], "reference": {}}
    facts = {**later, **checkpoint.manifest, "run_id": run_id, "version": version, "created": created}
    missing = [field.name for field in dataclasses.fields(Manifest) if field.name not in facts]
    if missing:
        raise ExportError(
            f"The checkpoint's manifest lacks {', '.join(missing)}; train it with this project's train.py"
        )
    manifest = Manifest(**facts)
    module = checkpoint.module()
    model = stamp(trace(module, manifest.window_samples, manifest.hop_samples), manifest)
    difference = largest_difference(module, model, probe_clips(manifest.window_samples, manifest.hop_samples))
    if not difference <= TOLERANCE:
        raise ExportError(f"torch and ONNX differ by {difference:.2g}; at most {TOLERANCE:g} is allowed")
    return model


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 with a message where the export is refused."""
    parser = argparse.ArgumentParser(
        description="Write a run's detector as one ONNX file with its manifest inside."
    )
    parser.add_argument("source", help="an MLflow run id, or a checkpoint.pt")
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    chosen = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = read_checkpoint(fetch_checkpoint(chosen.source, Path(folder)))
        model = export(checkpoint, run_id="" if Path(chosen.source).exists() else chosen.source)
    except ExportError as error:
        print(error, file=sys.stderr)
        return 1
    write_whole(chosen.out, model)
    print(f"{chosen.out}: {len(model)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
