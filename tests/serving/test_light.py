"""The light version in the repository: all that the shipped one answers, at a fraction of its cost."""

from collections.abc import Callable

import numpy as np
import pytest
from flask.testing import FlaskClient

from bench import flops
from serving.audio import SAMPLE_RATE
from serving.detector import Detector
from serving.models import BUNDLE, LIGHT, stated_sha256
from tests.serving.conftest import encode, spoken


def test_it_is_light() -> None:
    samples = 10 * SAMPLE_RATE
    assert LIGHT.stat().st_size <= 2e6
    assert flops.total(LIGHT, samples) < flops.total(BUNDLE, samples) / 3


def test_it_states_what_was_measured_on_it() -> None:
    measured = Detector.open(LIGHT, expected_sha256=stated_sha256(LIGHT)).manifest.metrics
    assert {"dev", "test"} <= {entry["split"] for entry in measured}


@pytest.mark.parametrize("seconds", [0.7, 4.0, 10.0])
def test_it_answers_as_the_shipped_one_does(make_client: Callable[..., FlaskClient], seconds: float) -> None:
    clip = encode(spoken(seconds))
    light, shipped = (
        make_client(model=path).post("/api/detect", data=clip, content_type="audio/wav").get_json()
        for path in (LIGHT, BUNDLE)
    )
    assert light["model"]["sha256"] == stated_sha256(LIGHT) != shipped["model"]["sha256"]
    for answer in (light, shipped):  # steps of whole frames, whose lengths differ
        step, count = answer["map"]["step_s"], len(answer["map"]["llr"])
        assert step == pytest.approx(0.16, rel=0.1)
        assert (count - 1) * step < seconds <= count * step + 1e-6
        assert np.isfinite(answer["llr"])
