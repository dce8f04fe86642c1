"""The facts of a model survive JSON, and nothing half right is accepted."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from serving.errors import ModelError
from serving.manifest import Manifest
from tests.serving.conftest import MANIFEST


def test_json_and_back_is_the_same() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "{}"])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="Manifest"):
        Manifest.from_json(text)


def test_missing_and_unknown_keys_are_named() -> None:
    content = asdict(MANIFEST)
    del content["threshold"]
    content["treshold"] = 0.0
    with pytest.raises(ModelError, match=r"lacks \['threshold'\] and has unknown \['treshold'\]"):
        Manifest.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("smoke", 0),
        ("sample_rate", 8_000),
        ("window_samples", 0),
        ("hop_samples", 1.5),
        ("hop_samples", True),
        ("frame_hop_samples", 3_000),
        ("short_clip", "pad"),
        ("positive_class", "bonafide"),
        ("pooling", {"kind": "max"}),
        ("pooling", {"kind": "top_mean"}),
        ("pooling", {"kind": "top_mean", "share": 1.5}),
        ("threshold", float("nan")),
        ("threshold", "0"),
        ("inconclusive", [1.0, -1.0]),
        ("inconclusive", [0.0]),
        ("span", {"threshold": 0.0}),
        ("span", {"threshold": 0.0, "min_s": 0.5, "gap_s": 0.3, "smooth_s": 0.2, "grow": 0.1}),
        ("span", {"threshold": 0.0, "min_s": 0.5, "gap_s": 0.3, "smooth_s": 0.2, "rise": -0.1}),
    ],
)
def test_a_value_that_serving_could_not_use_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ModelError, match=field.split("_")[0]):
        replace(MANIFEST, **{field: value})
