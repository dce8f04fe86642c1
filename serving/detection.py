"""One clip and one model -> Detection: verdict, facts of the clip and reliability notes, in a single pass."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from serving.audio import ClipFacts, Samples
from serving.detector import Detector
from serving.quality import Note, Quality, QualityMeter, notes
from serving.verdict import Stretch, Verdict, decide


class Clip(Protocol):
    """An opened clip, wherever it is decoded: facts, and blocks of mono 16 kHz samples once."""

    @property
    def facts(self) -> ClipFacts: ...

    def __iter__(self) -> Iterator[Samples]: ...


@dataclass(frozen=True)
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
            "windows": _listed(verdict.windows),
            "spans": _listed(verdict.spans),
            "map": verdict.map._asdict(),
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
    meter = QualityMeter()
    scores = detector.score(_measured(clip, meter))
    manifest = detector.manifest
    quality = meter.result()
    return Detection(
        verdict=decide(scores, manifest),
        facts=clip.facts,
        quality=quality,
        notes=tuple(notes(quality, manifest.window_samples / manifest.sample_rate)),
        model={"name": manifest.name, "version": manifest.version, "sha256": detector.sha256},
    )


def _measured(clip: Clip, meter: QualityMeter) -> Iterator[Samples]:
    for block in clip:
        meter.add(block)
        yield block


def _listed(stretches: tuple[Stretch, ...]) -> list[dict[str, float]]:
    return [
        {"start_s": start_s, "end_s": end_s, "llr": llr, "probability": probability}
        for start_s, end_s, llr, probability in stretches
    ]
