"""Live scores and qualities are summed up without audio and differ from the reference where they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from serving.audio import ClipFacts
from serving.detection import Detection
from serving.drift import EDGES, Drift, histograms, stability_index, values_of
from serving.manifest import Manifest
from serving.quality import Quality
from serving.stretches import Stretches
from serving.verdict import ConfidenceMap, Verdict
from tests.serving.conftest import MANIFEST, encode, noise, write_model


def detection(llr: float, bandwidth_hz: float = 7900.0, sha256: str = "a") -> Detection:
    shown = ConfidenceMap(0.16, np.zeros(0), np.zeros(0))
    verdict = Verdict("fake", llr, 0.5, 0.0, 3.0, Stretches(), np.zeros(0), Stretches(), shown)
    quality = Quality(duration_s=3.0, bandwidth_hz=bandwidth_hz, clipped_share=0.0, speech_share=0.8)
    return Detection(verdict, ClipFacts("WAV", "PCM_16", 16_000, 1, 3.0), quality, (), {"sha256": sha256})


def with_reference(llrs: np.ndarray) -> Manifest:
    rows = [values_of(detection(float(llr))) for llr in llrs]
    return replace(MANIFEST, reference={"histograms": histograms(rows)})


@pytest.fixture
def reference() -> Manifest:
    return with_reference(np.random.default_rng(0).normal(0, 2, 400))


def filled(llrs: np.ndarray, **changes: Any) -> Drift:
    drift = Drift()
    for llr in llrs:
        drift.add(detection(float(llr), **changes))
    return drift


def test_clips_like_the_reference_are_steady(reference: Manifest) -> None:
    found = filled(np.random.default_rng(1).normal(0, 2, 400)).summary(reference)
    assert {part["state"] for part in found.values()} == {"steady"}
    assert sum(found["llr"]["live"]) == pytest.approx(1, abs=1e-2)


def test_other_scores_are_drifted_and_nothing_else_is(reference: Manifest) -> None:
    found = filled(np.random.default_rng(1).normal(3, 2, 400)).summary(reference)
    assert found["llr"]["state"] == "drifted" and found["llr"]["psi"] > 0.25
    assert found["duration_s"]["state"] == found["speech_share"]["state"] == "steady"


def test_telephone_clips_show_in_the_bandwidth(reference: Manifest) -> None:
    manifest = with_reference(np.zeros(400))
    spread = {**manifest.reference["histograms"]}
    spread["bandwidth_hz"] = [25] * (len(EDGES["bandwidth_hz"]) + 1)
    manifest = replace(manifest, reference={"histograms": spread})
    found = filled(np.zeros(200), bandwidth_hz=3400.0).summary(manifest)
    assert found["bandwidth_hz"]["state"] == "drifted"


def test_few_clips_say_nothing(reference: Manifest) -> None:
    found = filled(np.full(50, 9.0)).summary(reference)
    assert found["llr"]["state"] == "too few clips" and found["llr"]["psi"] is None


def test_without_a_reference_there_is_a_summary_but_no_comparison() -> None:
    found = filled(np.zeros(200)).summary(MANIFEST)
    assert found["llr"]["state"] == "no reference" and found["llr"]["clips"] > 100


def test_old_clips_fade() -> None:
    drift = filled(np.full(1000, -5.0))
    for _ in range(1000):
        drift.add(detection(5.0))
    live = drift.summary(None)["llr"]["live"]
    assert live[np.searchsorted(EDGES["llr"], 5.0, side="right")] > 0.85


def test_another_model_starts_its_scores_anew() -> None:
    drift = filled(np.full(300, -5.0))
    drift.add(detection(5.0, sha256="b"))
    found = drift.summary(None)
    assert found["llr"]["clips"] == 1.0 and found["duration_s"]["clips"] > 100


def test_stability_index_of_a_worked_example() -> None:
    found = stability_index(np.array([500.0, 500.0]), np.array([250.0, 750.0]))
    assert found == pytest.approx(-0.25 * np.log(0.5) + 0.25 * np.log(1.5), abs=2e-3)
    assert (
        stability_index(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 0.0
    )  # one bin has nothing to shift to


def test_metrics_tell_it(make_client: Callable[..., FlaskClient], tmp_path: Path) -> None:
    client = make_client(model=write_model(tmp_path / "detector.onnx", with_reference(np.zeros(200))))
    client.post("/api/detect", data=encode(noise(1)), content_type="audio/wav")
    text = client.get("/metrics").text
    assert 'bonafide_drift_clips{quantity="speech_share"} 1.0' in text
