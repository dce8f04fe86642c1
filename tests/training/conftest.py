"""A detector that calls loud clips spoof, and bursts of noise, most of them as loud as their labels say."""

from pathlib import Path

import pytest
import soundfile

from serving.audio import SAMPLE_RATE
from serving.detector import Detector
from tests.serving.conftest import spoken, write_model


@pytest.fixture(scope="session")
def loud_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "loud.onnx")


@pytest.fixture(scope="session")
def loud_detector(loud_model: Path) -> Detector:
    return Detector.open(loud_model)


# file, label, attack, source, RMS: one loud real clip and one quiet fake are wrong, one clip is in between.
CORPUS = [
    ("r1", "bonafide", "-", "studio", 0.01),
    ("r2", "bonafide", "-", "studio", 0.015),
    ("r3", "bonafide", "-", "street", 0.02),
    ("r4", "bonafide", "-", "street", 0.15),
    ("s1", "spoof", "vits", "studio", 0.2),
    ("s2", "spoof", "vits", "studio", 0.05),
    ("s3", "spoof", "bark", "lab", 0.3),
    ("s4", "spoof", "bark", "lab", 0.012),
]


@pytest.fixture(scope="session")
def loud_protocol(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    lines = ["file\tlabel\tattack\tsource\tspeaker"]
    for seed, (name, label, attack, source, rms) in enumerate(CORPUS):
        soundfile.write(folder / f"{name}.wav", spoken(1.6, seed, rms), SAMPLE_RATE)
        lines.append(f"{name}.wav\t{label}\t{attack}\t{source}\tunknown")
    protocol = folder / "test.tsv"
    protocol.write_text("\n".join(lines) + "\n")
    return protocol
