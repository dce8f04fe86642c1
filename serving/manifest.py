"""The facts of a model, as JSON inside its ONNX file and as a frozen dataclass outside."""

from __future__ import annotations  # field types are read as written, below

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from serving.errors import ModelError

SCHEMA = 1
METADATA_KEY = "manifest"  # in the ONNX file's metadata_props
POOLINGS = ("mean", "top_mean")
SPAN_EXTRAS = {"grow", "rise"}  # optional LLRs: see serving.verdict
_JSON_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}


@dataclass(frozen=True)
class Manifest:
    """Everything that serving has to know of a model beyond its graph. LLRs are natural logarithms."""

    schema: int  # SCHEMA
    name: str
    version: str
    run_id: str  # of the tracking store
    git_commit: str
    created: str  # ISO 8601
    architecture: str
    trained_on: str  # the data in words
    data_fingerprint: str
    smoke: bool  # trained to try the machinery out, not to detect
    sample_rate: int  # Hz
    window_samples: int
    hop_samples: int
    frame_hop_samples: int  # 0: the graph has no frame output
    short_clip: str  # "repeat": see serving.audio.fit_window
    positive_class: str  # "spoof": scores rise with it
    pooling: dict[str, Any]  # {"kind": "mean"} or {"kind": "top_mean", "share": of the highest windows}
    prior_log_odds: float  # of spoof, for the displayed probability
    threshold: float  # LLR from which a clip is called fake
    inconclusive: list[float]  # [low, high] LLR between which no verdict is given
    span: dict[str, float]  # {"threshold": LLR, "min_s", "gap_s", "smooth_s"} and SPAN_EXTRAS
    operating_points: list[dict[str, float]]  # {"llr", "miss", "false_alarm"} measured on test
    metrics: list[dict[str, Any]]  # {"data", "split", "date", "figures": {...}}
    reference: dict[str, Any]  # statistics of the training data, may be empty
    licence: str

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), str(field.type))
        for problem in _problems(self):
            raise ModelError(f"Manifest: {problem}. Export the model again.")

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Raises ModelError if `text` is no JSON object or its keys are not exactly the fields above."""
        try:
            found = json.loads(text)
        except ValueError as error:
            raise ModelError(f"Manifest is not JSON ({error}). Export the model again.") from None
        if not isinstance(found, dict):
            raise ModelError(f"Manifest is a {type(found).__name__}, not an object. Export the model again.")
        expected = {field.name for field in fields(cls)}
        missing, unknown = sorted(expected - set(found)), sorted(set(found) - expected)
        if missing or unknown:
            raise ModelError(
                f"Manifest lacks {missing or 'nothing'} and has unknown {unknown or 'nothing'}. "
                "Export the model with this version of the project."
            )
        return cls(**found)


def _check_type(name: str, value: object, declared: str) -> None:
    kind = _JSON_KINDS[declared.partition("[")[0]]
    if not isinstance(value, kind) or (isinstance(value, bool) and declared != "bool"):
        raise ModelError(f"Manifest: {name} is {value!r}, expected {declared}. Export the model again.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ModelError(f"Manifest: {name} is {value}, expected a finite number. Export the model again.")


def _problems(manifest: Manifest) -> list[str]:
    """What is inconsistent, each as "found, expected"."""
    m, problems = manifest, []
    if m.schema != SCHEMA:
        problems.append(f"schema is {m.schema}, this code reads {SCHEMA}")
    if m.sample_rate != 16_000:
        problems.append(f"sample_rate is {m.sample_rate}, expected 16000")
    if not (m.window_samples > 0 and m.hop_samples > 0 and m.frame_hop_samples >= 0):
        problems.append("window_samples and hop_samples have to be above 0, frame_hop_samples at least 0")
    elif m.frame_hop_samples and m.hop_samples % m.frame_hop_samples:
        problems.append(
            f"hop_samples {m.hop_samples} is no multiple of frame_hop_samples {m.frame_hop_samples}"
        )
    if m.short_clip != "repeat" or m.positive_class != "spoof":
        problems.append('short_clip has to be "repeat" and positive_class "spoof"')
    if m.pooling.get("kind") not in POOLINGS:
        problems.append(f"pooling is {m.pooling}, its kind has to be one of {POOLINGS}")
    elif m.pooling["kind"] == "top_mean" and not 0 < m.pooling.get("share", 0) <= 1:
        problems.append(f"pooling is {m.pooling}, its share has to be above 0 and at most 1")
    if len(m.inconclusive) != 2 or not m.inconclusive[0] <= m.inconclusive[1]:
        problems.append(f"inconclusive is {m.inconclusive}, expected [low, high]")
    if set(m.span) - SPAN_EXTRAS != {"threshold", "min_s", "gap_s", "smooth_s"}:
        problems.append(
            f"span has {sorted(m.span)}, expected threshold, min_s, gap_s, smooth_s, "
            f"maybe {' and '.join(sorted(SPAN_EXTRAS))}"
        )
    elif m.span.get("grow", m.span["threshold"]) > m.span["threshold"]:
        problems.append(f"span grows from LLR {m.span['grow']}, above its threshold {m.span['threshold']}")
    elif m.span.get("rise", 0.0) < 0:
        problems.append(f"span has a threshold that rises by {m.span['rise']}, expected 0 or more")
    return problems
