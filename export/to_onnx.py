"""A run's checkpoint -> one ONNX file, raw waveform to calibrated LLRs, with its manifest inside.

python -m export.to_onnx RUN_ID_OR_CHECKPOINT --out detector.onnx
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import logging
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
import torch

from export.parity import TOLERANCE, largest_difference, probe_clips
from serving.manifest import METADATA_KEY, Manifest
from serving.whole import write_whole
from training import models, tracking

OPSET = 20  # the newest that the exporter writes without conversion
OUTPUT_AXES = {"window_llr": "windows", "frame_llr": "frames"}


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
            f"{path} is not a training checkpoint of tensors and plain values ({reason}); give a run id or a checkpoint.pt"
        ) from error


def fetch_checkpoint(run_or_path: str, folder: Path) -> Path:
    """A path as it is; a run's checkpoint downloaded into `folder`."""
    if Path(run_or_path).exists():
        return Path(run_or_path)
    client, _ = tracking.connect()
    try:
        return Path(client.download_artifacts(run_or_path, tracking.CHECKPOINT, str(folder)))
    except Exception as error:  # MLflow raises its own, the store's and the transport's errors here
        raise ExportError(
            f"No run or file {run_or_path!r} with a {tracking.CHECKPOINT} ({error}); `make compare` lists runs"
        ) from error


def trace(module: torch.nn.Module, window_samples: int, hop_samples: int) -> onnx.ModelProto:
    """The module as a graph whose batch and time axes are dynamic, without the paths of this machine."""
    example = torch.zeros(2, window_samples + 2 * hop_samples)
    with torch.no_grad():
        outputs = module(example)
    names = list(OUTPUT_AXES)[: len(outputs) if isinstance(outputs, tuple) else 1]
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with contextlib.redirect_stdout(io.StringIO()), _quiet():
        program = torch.onnx.export(
            module, (example,), input_names=["waveform"], output_names=names, dynamic_shapes=(dynamic,),
            dynamo=True, optimize=True, opset_version=OPSET, verbose=False, external_data=False,
        )  # fmt: skip
    assert program is not None
    graph = program.model_proto
    _strip(graph)
    _name_axes(graph)
    onnx.checker.check_model(graph)
    return graph


@contextlib.contextmanager
def _quiet() -> Any:
    """The exporter warns of operators of torchvision, which nothing here uses."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _strip(graph: onnx.ModelProto) -> None:
    """Drops source paths and stack traces: most of a small file, and nobody's business."""
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.graph.value_info[:]
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


def _name_axes(graph: onnx.ModelProto) -> None:
    """Calls the axes batch, samples, windows and frames instead of the tracer's symbols."""
    for value in [*graph.graph.input, *graph.graph.output]:
        batch, time = value.type.tensor_type.shape.dim
        batch.dim_param = "batch"
        time.dim_param = "samples" if value.name == "waveform" else OUTPUT_AXES[value.name]


def stamp(graph: onnx.ModelProto, manifest: Manifest) -> bytes:
    """The graph's bytes with the manifest in its metadata, replacing any that was there."""
    kept = [entry for entry in graph.metadata_props if entry.key != METADATA_KEY]
    del graph.metadata_props[:]
    graph.metadata_props.extend(kept)
    graph.metadata_props.add(key=METADATA_KEY, value=manifest.to_json())
    return graph.SerializeToString(deterministic=True)


def export(checkpoint: Checkpoint, *, run_id: str = "", version: str = "0") -> bytes:
    """The whole bundle file; raises ExportError where torch and ONNX differ or the manifest is incomplete."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    later = {
        "metrics": [],
        "operating_points": [],
        "reference": {},
    }  # measured on the file, once there is one
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
