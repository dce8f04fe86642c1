"""The registry: versions of the detector, their files, the aliases champion, challenger and previous.

A version is a folder of artefacts with `detector.onnx` and an `MLmodel`, so that MLflow's own `models:/...`
loads it. It counts once it has its `sha256` tag, which is written last.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from export.bundle import MODEL, Bundle, Store
from export.history import Change
from export.to_onnx import Checkpoint, fetch_checkpoint, manifest_of, read_checkpoint, stamp
from serving.session import precision
from serving.whole import sha256_of
from training import tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"


class RegistryError(Exception):
    """A version or alias is missing or its file is not what the registry says."""


@dataclasses.dataclass(frozen=True)
class Version:
    """A registered version; counts and sizes are of the ONNX file."""

    number: str
    run_id: str
    source: str  # artefact address of its folder
    sha256: str
    size_bytes: int
    parameters: int
    smoke: bool
    aliases: tuple[str, ...]
    created_ms: int
    tags: dict[str, str]

    @property
    def bundle(self) -> Bundle:
        """As the audit log names it."""
        return Bundle(version=self.number, sha256=self.sha256, run_id=self.run_id)


class Registry:
    """Versions in the MLflow registry, with their files also kept by digest in `store`."""

    def __init__(self, store: Store) -> None:
        self.client: MlflowClient
        self.client, _ = tracking.connect()
        self.store = store

    def versions(self) -> list[Version]:
        """All complete versions, lowest number first."""
        aliases: dict[str, list[str]] = {}
        for alias, number in self._aliases().items():
            aliases.setdefault(str(number), []).append(alias)
        found = self.client.search_model_versions(f"name='{tracking.MODEL}'")
        complete = [entry for entry in found if "sha256" in entry.tags]
        return sorted(
            (_version(entry, aliases) for entry in complete), key=lambda version: int(version.number)
        )

    def _aliases(self) -> dict[str, str]:
        models = self.client.search_registered_models(f"name='{tracking.MODEL}'")
        return dict(models[0].aliases) if models else {}

    def version(self, number_or_alias: str) -> Version:
        """By number or alias; raises RegistryError naming what there is."""
        versions = self.versions()
        for version in versions:
            if version.number == number_or_alias.lstrip("v") or number_or_alias in version.aliases:
                return version
        there = ", ".join(version.number for version in versions) or "none"
        raise RegistryError(
            f"No version {number_or_alias!r}; registered: {there}. `make export RUN=...` registers one"
        )

    def by_digest(self, sha256: str) -> Version | None:
        """The version with that file, if any."""
        return next((version for version in self.versions() if version.sha256 == sha256), None)

    def file(self, version: Version) -> bytes:
        """The version's ONNX file, verified; raises RegistryError where it is missing or altered."""
        kept = self.store.get(version.sha256)
        if kept is not None:
            return kept
        import mlflow

        with tempfile.TemporaryDirectory() as folder:
            try:
                path = mlflow.artifacts.download_artifacts(f"{version.source}/{MODEL}", dst_path=folder)
            except Exception as error:  # the store's and the transport's errors have no common type
                raise RegistryError(f"File of version {version.number} cannot be fetched: {error}") from error
            model = Path(path).read_bytes()
        if sha256_of(model) != version.sha256:
            raise RegistryError(
                f"File of version {version.number} has sha256 {sha256_of(model)}, "
                f"registered was {version.sha256}; register the run again"
            )
        self.store.keep(model)
        return model

    def checkpoint(self, version: Version) -> Checkpoint | None:
        """The torch side of a version, None where its run or checkpoint is gone."""
        if not version.run_id:
            return None
        with tempfile.TemporaryDirectory() as folder:
            try:
                return read_checkpoint(fetch_checkpoint(version.run_id, Path(folder)))
            except Exception:  # a missing torch side is a finding of the gate, not an error here
                return None

    def data_of_run(self, run_id: str) -> Path | None:
        """The data that a run was trained on, as the run names it, where that is still there."""
        named = self.client.get_run(run_id).data.params.get("data", "") if run_id else ""
        return Path(named) if named and Path(named).exists() else None

    def add(self, model: bytes, run_id: str) -> Version:
        """Registers an exported file of a run; its manifest gets the number that the registry gives."""
        self._ensure_model()
        folder = f"bundle-{uuid.uuid4().hex[:8]}"
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{folder}"
        number = str(self.client.create_model_version(tracking.MODEL, source, run_id).version)
        graph = onnx.load_from_string(model)
        manifest = dataclasses.replace(manifest_of(graph), version=number, run_id=run_id)
        stamped = stamp(graph, manifest)
        with tempfile.TemporaryDirectory() as local:
            _write_mlflow_folder(Path(local), stamped, run_id)
            self.client.log_artifacts(run_id, local, folder)
        parameters = sum(_elements(tensor) for tensor in graph.graph.initializer)
        facts = {"size_bytes": len(stamped), "parameters": parameters, "smoke": json.dumps(manifest.smoke),
                 "architecture": manifest.architecture, "data_fingerprint": manifest.data_fingerprint,
                 "sha256": self.store.keep(stamped)}  # fmt: skip
        for key, value in facts.items():
            self.client.set_model_version_tag(tracking.MODEL, number, key, str(value))
        return self.version(number)

    def _ensure_model(self) -> None:
        if not self.client.search_registered_models(f"name='{tracking.MODEL}'"):
            self.client.create_registered_model(tracking.MODEL, description="Bona fide or spoofed speech")

    def point(self, alias: str, version: Version | None) -> None:
        """Moves an alias, or removes it."""
        if version is not None:
            self.client.set_registered_model_alias(tracking.MODEL, alias, version.number)
        elif alias in self._aliases():
            self.client.delete_registered_model_alias(tracking.MODEL, alias)

    def settle(self, change: Change, previous: Bundle | None) -> None:
        """Aliases as they are after `change`: champion serves, previous is what a rollback would restore."""
        champion = self.by_digest(change.after.sha256)
        self.point(CHAMPION, champion)
        self.point(PREVIOUS, self.by_digest(previous.sha256) if previous else None)
        if champion is not None and CHALLENGER in champion.aliases:
            self.point(CHALLENGER, None)


def _elements(tensor: onnx.TensorProto) -> int:
    """Numbers held by a tensor of floats or by a matrix of 8-bit integers; indices are no parameters."""
    kinds = onnx.TensorProto
    matrix = tensor.data_type == kinds.INT8 and len(tensor.dims) > 1
    if tensor.data_type not in (kinds.FLOAT, kinds.FLOAT16) and not matrix:
        return 0
    count = 1
    for size in tensor.dims:
        count *= size
    return count


def _write_mlflow_folder(folder: Path, model: bytes, run_id: str) -> None:
    """The file as it is served, and an MLmodel beside it that lets MLflow load just that file."""
    from mlflow.models import Model

    (folder / MODEL).write_bytes(model)
    description: Any = Model(run_id=run_id)
    description.add_flavor(
        "onnx",
        onnx_version=onnx.__version__,
        data=MODEL,
        providers=["CPUExecutionProvider"],
        onnx_session_options={"extra_session_config": precision(model)},  # the same scores as serving's
    )
    description.add_flavor("python_function", loader_module="mlflow.onnx", data=MODEL)
    description.save(str(folder / "MLmodel"))


def _version(entry: ModelVersion, aliases: dict[str, list[str]]) -> Version:
    tags = dict(entry.tags)
    return Version(
        number=str(entry.version),
        run_id=str(entry.run_id or ""),
        source=str(entry.source),
        sha256=tags["sha256"],
        size_bytes=int(tags.get("size_bytes", 0)),
        parameters=int(tags.get("parameters", 0)),
        smoke=json.loads(tags.get("smoke", "true")),
        aliases=tuple(sorted(aliases.get(str(entry.version), []))),
        created_ms=int(entry.creation_timestamp),
        tags=tags,
    )
