"""The whole line, once and tiny: train -> export -> promote -> serve; one score wherever a clip is scored."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from export import registry
from export.to_onnx import read_checkpoint
from serving.app import create_app
from serving.audio import chunks, load
from serving.settings import Settings
from training import sample, tracking, train
from training.config import TrainConfig, configure

TINY = {"epochs": 1, "steps": 2, "pairs": 1, "real": 2, "spoof": 2}
SIZES = {"train": 8, "dev": 8, "test": 8}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, TrainConfig]:
    """A run on the smoke sample, promoted by force into `bundle`: the folder, the run's id, its config."""
    folder = tmp_path_factory.mktemp("line")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        data = sample.make(folder / "sample", SIZES)
        config = configure("rescnn", TINY)
        run_id = train.run(config, data, [], None, "tiny")
        places = ["--bundle", str(folder / "bundle"), "--mlruns", str(folder)]
        assert registry.main(["export", run_id, *places]) == 0
        assert registry.main(["promote", "1", *places]) == 1, "a smoke run is not promoted by accident"
        assert not (folder / "bundle" / "detector.onnx").exists()
        assert registry.main(["promote", "1", "--force", "--reason", "a test", *places]) == 0
    return folder, run_id, config


def test_serving_scores_a_clip_as_training_does(line: tuple[Path, str, TrainConfig]) -> None:
    folder, run_id, config = line
    path = next((folder / "sample" / "test").glob("*.*"))
    detector = read_checkpoint(folder / "data" / "runs" / run_id / tracking.CHECKPOINT).module()
    parts = list(chunks([load(path)], config.window_samples, config.hop_samples, 16))
    with torch.no_grad():
        ours = np.concatenate(
            [detector(torch.from_numpy(part.samples)[None])[0][0].numpy() for part in parts]
        )

    client = create_app(Settings(model=folder / "bundle" / "detector.onnx")).test_client()
    answer = client.post("/api/detect", data={"file": (io.BytesIO(path.read_bytes()), path.name)})

    assert answer.status_code == 200, answer.get_json()
    served = [window["llr"] for window in answer.get_json()["windows"]]
    assert np.allclose(served, ours, atol=1e-4)
    assert answer.get_json()["model"]["version"] == "1"


def test_a_clip_scores_the_same_in_any_lossless_container(line: tuple[Path, str, TrainConfig]) -> None:
    folder, _, _ = line
    samples = np.round(load(next((folder / "sample" / "test").glob("*.*"))) * 32767).astype(np.int16)
    client = create_app(Settings(model=folder / "bundle" / "detector.onnx")).test_client()
    llrs = []
    for container in ("WAV", "FLAC"):
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, 16_000, format=container, subtype="PCM_16")
        answer = client.post("/api/detect", data={"file": (io.BytesIO(buffer.getvalue()), "clip")})
        llrs.append(answer.get_json()["llr"])
    assert llrs[0] == pytest.approx(llrs[1], abs=1e-5)


def test_the_run_says_what_it_was_made_of(
    line: tuple[Path, str, TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, run_id, _ = line
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    client, _ = tracking.connect()
    run = client.get_run(run_id)
    assert run.data.tags["smoke"] == "true" and len(run.data.tags["data_fingerprint"]) >= 12
    assert {"dev_eer", "dev_auc", "dev_cllr", "loss_window"} <= set(run.data.metrics)
    assert {f.path for f in client.list_artifacts(run_id)} >= {tracking.CHECKPOINT, "plots"}
