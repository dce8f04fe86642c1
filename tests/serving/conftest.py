"""A model of 2 kB whose right answers can be worked out by hand, and clips in every accepted format."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
from flask.testing import FlaskClient
from onnx import TensorProto, helper

from serving.activity import Activity
from serving.app import create_app
from serving.audio import SAMPLE_RATE
from serving.detector import Detector
from serving.manifest import METADATA_KEY, Manifest
from serving.settings import Settings

WINDOW, HOP, FRAME = SAMPLE_RATE, SAMPLE_RATE // 4, SAMPLE_RATE // 20  # 1 s, 0.25 s, 50 ms

MANIFEST = Manifest(
    schema=1,
    name="loudness",
    version="7",
    run_id="run",
    git_commit="0" * 40,
    created="2026-11-24T00:00:00+00:00",
    architecture="log energy of a window",
    trained_on="nothing",
    data_fingerprint="none",
    smoke=True,
    sample_rate=SAMPLE_RATE,
    window_samples=WINDOW,
    hop_samples=HOP,
    frame_hop_samples=0,
    short_clip="repeat",
    positive_class="spoof",
    pooling={"kind": "mean"},
    prior_log_odds=0.0,
    threshold=0.0,
    inconclusive=[-0.5, 0.5],
    span={"threshold": 0.0, "min_s": 0.5, "gap_s": 0.3, "smooth_s": 0.2},
    operating_points=[{"llr": 0.0, "miss": 0.1, "false_alarm": 0.1}],
    metrics=[{"data": "none", "split": "test", "date": "2026-11-24", "figures": {"eer": 0.5}}],
    reference={},
    licence="MIT",
)


ALL_SPEECH = Activity(np.zeros(0, bool))  # without a frame: every stretch counts alike


def loudness_llr(samples: np.ndarray) -> float:
    """What the model says of one window: 2 ln(mean square) + 12, so 0 at an RMS of exp(-3), about 0.05."""
    return float(2 * np.log(np.mean(samples.astype(np.float64) ** 2) + 1e-9) + 12)


def write_model(
    path: Path,
    manifest: Manifest = MANIFEST,
    text: str | None = None,
    novelty: bool = False,
    origin: bool = False,
) -> Path:
    """The loudness model as a file; `text` replaces the manifest's JSON, `novelty` is the loudness again and
    a frame's `origin` is its own, twice.
    """
    outputs = {"window_llr": (manifest.window_samples, manifest.hop_samples)}
    if manifest.frame_hop_samples:
        outputs["frame_llr"] = (manifest.frame_hop_samples, manifest.frame_hop_samples)
    if novelty:
        outputs["novelty"] = outputs["window_llr"]
    nodes = [
        helper.make_node("Unsqueeze", ["waveform", "axis"], ["row"]),
        helper.make_node("Mul", ["row", "row"], ["sq"]),
    ]
    for name, (kernel, stride) in outputs.items():
        nodes += [
            helper.make_node("AveragePool", ["sq"], [f"{name}_ms"], kernel_shape=[kernel], strides=[stride]),
            helper.make_node("Squeeze", [f"{name}_ms", "axis"], [f"{name}_sq"]),
            helper.make_node("Add", [f"{name}_sq", "tiny"], [f"{name}_pos"]),
            helper.make_node("Log", [f"{name}_pos"], [f"{name}_log"]),
            helper.make_node("Mul", [f"{name}_log", "two"], [f"{name}_twice"]),
            helper.make_node("Add", [f"{name}_twice", "twelve"], [name]),
        ]
    named = {name: ["batch", f"{name}s"] for name in outputs}
    if origin:
        nodes += [
            helper.make_node("Unsqueeze", ["frame_llr", "last"], ["frame_column"]),
            helper.make_node("Concat", ["frame_column", "frame_column"], ["frame_origin"], axis=2),
        ]
        named["frame_origin"] = ["batch", "frames", 2]
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [1], [at]) for name, at in (("axis", 1), ("last", 2))
    ]
    constants += [
        helper.make_tensor(name, TensorProto.FLOAT, [], [value])
        for name, value in (("tiny", 1e-9), ("two", 2.0), ("twelve", 12.0))
    ]
    graph = helper.make_graph(
        nodes,
        "loudness",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in named.items()],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: manifest.to_json() if text is None else text})
    onnx.save(model, path)
    return path


def noise(seconds: float, seed: int = 0, rms: float = 0.1, rate: int = SAMPLE_RATE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, rms, round(seconds * rate)).astype(np.float32)


def spoken(seconds: float, seed: int = 0, rms: float = 0.1, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Noise that comes and goes four times a second, which counts as speech."""
    time = np.arange(round(seconds * rate)) / rate
    return np.where(time * 4 % 1 < 0.75, 1.15, 0.02).astype(np.float32) * noise(seconds, seed, rms, rate)


def encode(
    samples: np.ndarray, container: str = "WAV", codec: str = "PCM_16", rate: int = SAMPLE_RATE
) -> bytes:
    """(N,) or (N, channels) -> the bytes of a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=codec)
    return file.getvalue()


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "loudness.onnx")


@pytest.fixture(scope="session")
def detector(model_path: Path) -> Detector:
    return Detector.open(model_path)


@pytest.fixture(scope="session")
def frame_detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    manifest = replace(MANIFEST, frame_hop_samples=FRAME)
    return Detector.open(write_model(tmp_path_factory.mktemp("model") / "frames.onnx", manifest))


@pytest.fixture(scope="session")
def client(model_path: Path) -> Iterator[FlaskClient]:
    app = create_app(Settings(model=model_path))
    yield app.test_client()
    app.extensions["bonafide"].stop()


@pytest.fixture
def make_client() -> Iterator[Callable[..., FlaskClient]]:
    """create_app with other settings; what it started is stopped after the test."""
    apps = []

    def make(**settings: Any) -> FlaskClient:
        app = create_app(Settings(**settings))
        apps.append(app)
        return app.test_client()

    yield make
    for app in apps:
        app.extensions["bonafide"].stop()
