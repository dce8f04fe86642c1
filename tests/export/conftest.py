"""A registry in a temporary sqlite, tiny models, and tones to score: quiet is bona fide, loud is spoof."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from export.bundle import Store
from export.promotion import Desk
from export.to_onnx import export, read_checkpoint
from export.versions import Registry, Version
from tests.export import tiny
from training import tracking


@pytest.fixture(autouse=True)
def tiny_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.to_onnx.models.build", tiny.build)
    monkeypatch.setenv("PROMOTED_BY", "tester")


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to make its tables; made once, copied per test."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        client, experiment = tracking.connect()
        client.delete_experiment(experiment)
    return folder / "mlflow.db"


@pytest.fixture
def mlruns(tmp_path: Path, migrated_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mlruns"
    folder.mkdir()
    shutil.copy(migrated_database, folder / "mlflow.db")
    monkeypatch.setattr("training.tracking.EXPERIMENT", "test")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    return folder


@pytest.fixture
def desk(tmp_path: Path, mlruns: Path) -> Desk:
    store = Store(mlruns / "bundles")
    return Desk(tmp_path / "bundle", store, Registry(store))


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A protocol folder: 24 quiet bona fide and 24 loud spoof tones a split, from two sources."""
    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    for split in ("dev", "test"):
        rows = ["file\tlabel\tattack\tsource"]
        for number in range(48):
            label, attack, level = ("spoof", "tone", 0.3) if number % 2 else ("bonafide", "-", 0.05)
            name = f"{split}{number}.wav"
            soundfile.write(folder / name, _swelling_tone(level, rng), 16_000)
            rows.append(f"{name}\t{label}\t{attack}\tsource{number % 4 // 2}")
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    return folder


def _swelling_tone(level: float, rng: np.random.Generator) -> np.ndarray:
    """(N,), about a second; louder towards its end, so that no two windows are alike."""
    seconds = np.arange(int(16_000 * rng.uniform(0.9, 1.6))) / 16_000
    swell = level * rng.uniform(0.7, 1.4) * (0.8 + 0.4 * seconds / seconds[-1])
    tone: np.ndarray = swell * np.sin(2 * np.pi * rng.uniform(100, 400) * seconds)
    return tone + 0.001 * rng.standard_normal(len(seconds))


RegisterTiny = Callable[..., Version]
EXPORTED: dict[str, bytes] = {}  # tracing takes seconds, and the same weights give the same file


@pytest.fixture
def register(desk: Desk, tmp_path: Path, tones: Path) -> RegisterTiny:
    """Trains nothing: logs a run with tiny weights, registers its export."""

    def make(
        gain: float = 2.0,
        pivot: float = -4.0,
        *,
        architecture: str = "tiny",
        data: Path | None = tones,
        **changes: Any,
    ) -> Version:
        client, experiment = tracking.connect()
        run = client.create_run(experiment)
        module = tiny.ARCHITECTURES[architecture](gain, pivot)
        path = tiny.save_checkpoint(tmp_path / "checkpoint.pt", module, architecture=architecture, **changes)
        client.log_artifact(run.info.run_id, str(path))
        if data:
            client.log_param(run.info.run_id, "data", str(data))
        key = repr((gain, pivot, architecture, sorted(changes.items())))
        if key not in EXPORTED:
            EXPORTED[key] = export(read_checkpoint(path))
        return desk.registry.add(EXPORTED[key], run.info.run_id)

    return make
