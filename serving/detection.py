"""One clip and one model -> Detection: verdict, facts of the clip and reliability notes, in a single pass."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from serving.activity import measured
from serving.audio import ClipFacts, Samples
from serving.detector import Detector
from serving.quality import LITTLE_SPEECH, Note, Quality, QualityMeter, notes
from serving.stretches import Stretches
from serving.verdict import NO_SPEECH, ConfidenceMap, Verdict, decide


class Clip(Protocol):
    """An opened clip, wherever it is decoded: facts, and blocks of mono 16 kHz samples once."""

    @property
    def facts(self) -> ClipFacts: ...

    def __iter__(self) -> Iterator[Samples]: ...


@dataclass(frozen=True, eq=False)
class Detection:
    verdict: Verdict
    facts: ClipFacts
    quality: Quality
    notes: tuple[Note, ...]
    model: dict[str, str]  # name, version, sha256 of the model that gave the verdict

    def to_dict(self) -> dict[str, Any]:
        """What the API answers, but for the facts that only the request knows."""
        verdict, quality = self.verdict, self.quality
        return {
            "verdict": verdict.verdict,
            "probability": verdict.probability,
            "llr": verdict.llr,
            "threshold": verdict.threshold,
            "duration_s": verdict.duration_s,
            "windows": _weighted(verdict),
            "spans": _listed(verdict.spans),
            "map": _columns(verdict.map),
            "clip": {
                "original_rate_hz": self.facts.original_rate_hz,
                "channels": self.facts.channels,
                "container": self.facts.container,
                "codec": self.facts.codec,
                **asdict(quality),
            },
            "notes": [asdict(note) for note in self.notes],
            "model": self.model,
        }


def detect(clip: Clip, detector: Detector) -> Detection:
    """Decode, score and judge an opened clip. Raises ClipError, ModelError."""
    verdict, quality, found = judge(clip, detector)
    manifest = detector.manifest
    return Detection(
        verdict=verdict,
        facts=clip.facts,
        quality=quality,
        notes=tuple(found),
        model={"name": manifest.name, "version": manifest.version, "sha256": detector.sha256},
    )


def judge(blocks: Iterable[Samples], detector: Detector) -> tuple[Verdict, Quality, list[Note]]:
    """Mono 16 kHz blocks -> verdict, facts and notes: where there is hardly any speech, no verdict on it."""
    meter = QualityMeter()
    scores = detector.score(measured(blocks, meter))
    manifest, quality = detector.manifest, meter.result(scores.activity.share)
    found = notes(quality, manifest.window_samples / manifest.sample_rate, scores.clip_novelty)
    verdict = decide(scores, manifest)
    if any(note.code == LITTLE_SPEECH for note in found):
        verdict = replace(verdict, verdict=NO_SPEECH, spans=Stretches())
    return verdict, quality, found


def _listed(stretches: Stretches) -> list[dict[str, float]]:
    return [
        {"start_s": start_s, "end_s": end_s, "llr": llr, "probability": probability}
        for start_s, end_s, llr, probability in stretches
    ]


def _weighted(verdict: Verdict) -> list[dict[str, float]]:
    weights = verdict.window_weight.tolist()
    return [{**row, "weight": weight} for row, weight in zip(_listed(verdict.windows), weights, strict=True)]


def _columns(shown: ConfidenceMap) -> dict[str, Any]:
    return {
        "step_s": shown.step_s,
        "llr": shown.llr.tolist(),
        "probability": shown.probability.tolist(),
    }
