"""The gate: a registered version against `gate.json` and against the champion -> a list of checks.

Every check runs and reports, so that a refusal names all its reasons at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from export.bundle import MODEL
from export.candidate import Candidate, candidate_of
from export.contrast import FIGURES, contrast
from export.flips import count_flips
from export.footprint import Footprint, FootprintError, measure
from export.gate import Check, Gate
from export.graph import context_difference, finite_on_extremes, is_quantised
from export.measure import MeasureError, common, score
from export.parity import difference, probe_clips
from export.promotion import Desk
from export.versions import Version
from serving import audio
from serving.detector import Detector
from serving.errors import ClipError, ModelError
from serving.manifest import Manifest
from training.robustness import choose

MUST_BE_STATED = (
    "run_id",
    "git_commit",
    "created",
    "architecture",
    "trained_on",
    "data_fingerprint",
    "licence",
    "metrics",
)


def judge(
    desk: Desk, version: Version, data: Path | None, cache: Path, gate: Gate | None = None
) -> list[Check]:
    """All checks of one version; raises RegistryError where its file is gone, GateFileError."""
    gate = gate or Gate.read()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL
        path.write_bytes(desk.registry.file(version))
        loads, manifest = check_loads(path, version)
        if manifest is None:
            return [loads]
        candidate = candidate_of(desk, version, path, manifest, data, cache, gate)
        checks = [check for judgement in JUDGEMENTS for check in judgement(candidate, gate)]
    return [loads, *checks]


def check_loads(path: Path, version: Version) -> tuple[Check, Manifest | None]:
    """Whether serving can open the file at all; nothing overrides this."""
    try:
        manifest = Detector.open(path, expected_sha256=version.sha256).manifest
    except (ModelError, OSError) as error:
        return Check("file", False, str(error), "a bundle that serving opens", forceable=False), None
    return Check("file", True, version.sha256[:12], "a bundle that serving opens", forceable=False), manifest


def check_manifest(candidate: Candidate, gate: Gate) -> list[Check]:
    """Everything stated that a reader of a verdict may ask for; smoke models are none to ask."""
    empty = [name for name in MUST_BE_STATED if not getattr(candidate.manifest, name)]
    smoke = candidate.manifest.smoke or candidate.version.smoke
    return [
        Check(
            "manifest", not empty, f"empty: {', '.join(empty)}" if empty else "complete", "every fact stated"
        ),
        Check("smoke", not smoke, "a smoke model" if smoke else "a trained model", "no smoke model"),
    ]


def check_graph(candidate: Candidate, gate: Gate) -> list[Check]:
    """torch = ONNX; alone = batched = inside a longer clip; finite whatever comes in."""
    geometry = candidate.manifest.window_samples, candidate.manifest.hop_samples
    waveforms = [*probe_clips(*geometry), *_waveforms(candidate, gate.parity.clips)]
    context = context_difference(candidate.model, *geometry, _waveforms(candidate, gate.context.clips))
    trouble = finite_on_extremes(candidate.model, *geometry)
    limit = gate.context.max_difference
    return [
        _check_parity(candidate, waveforms, gate),
        Check("alone = batched", context <= limit, f"{context:.2g}", f"at most {limit:g}"),
        Check(
            "finite",
            not trouble,
            trouble or "finite on silence and full scale",
            "finite LLRs",
            forceable=False,
        ),
    ]


def _check_parity(candidate: Candidate, waveforms: list[np.ndarray], gate: Gate) -> Check:
    """Float files say what torch says; files in integers come near it, and their figures are checked."""
    integers = is_quantised(candidate.model)
    name = "torch = int8" if integers else "torch = ONNX"
    limit = gate.int8_mean_difference if integers else gate.parity.max_difference
    expected = (
        f"{'mean ' if integers else ''}at most {limit:g} "
        f"on {gate.parity.clips} clips and lengths around the window"
    )
    if candidate.checkpoint is None:
        return Check(name, False, "no checkpoint to compare with", expected)
    try:
        found = difference(candidate.checkpoint.module(), candidate.model, waveforms)
    except Exception as error:  # whatever torch or onnxruntime raise on a mismatched pair is the finding
        return Check(name, False, str(error).splitlines()[0], expected)
    value = found.mean if integers else found.largest
    return Check(name, value <= limit, f"{value:.2g}", expected)


def _waveforms(candidate: Candidate, count: int) -> list[np.ndarray]:
    """Up to `count` real clips spread over the protocol, (N,) each, at least a window and two hops long."""
    least = candidate.manifest.window_samples + 2 * candidate.manifest.hop_samples
    picked = candidate.clips[:: max(1, len(candidate.clips) // count)][:count]
    waveforms = []
    for clip in picked:
        try:
            samples = audio.load(clip.path)
        except (ClipError, OSError):
            continue  # counted by the metric check
        waveforms.append(np.resize(samples, least) if len(samples) < least else samples)
    return waveforms or probe_clips(candidate.manifest.window_samples, candidate.manifest.hop_samples)[-1:]


def check_budgets(candidate: Candidate, gate: Gate) -> list[Check]:
    """Size, time and memory, the last two measured in a process that loads what serving loads."""
    size = len(candidate.model)
    checks = [Check("size", size <= gate.max_bytes, f"{size} bytes", f"at most {gate.max_bytes} bytes")]
    time_limit = f"at most {gate.max_ms_per_window:g} ms a window, or the champion's time"
    memory_limit = f"at most {gate.max_mb:g} MB"
    try:
        cost = measure(candidate.path, gate.memory_clip_s)
    except FootprintError as error:
        return [
            *checks,
            Check("latency", False, str(error), time_limit),
            Check("memory", False, str(error), memory_limit),
        ]
    fast, found = _is_fast(cost, candidate, gate)
    memory = Check("memory", cost.peak_mb <= gate.max_mb, f"{cost.peak_mb:g} MB", memory_limit)
    return [*checks, Check("latency", fast, found, time_limit), memory]


def _is_fast(cost: Footprint, candidate: Candidate, gate: Gate) -> tuple[bool, str]:
    """With what was found. A slower machine is no reason to keep a slower champion."""
    fast, found = cost.ms_per_window <= gate.max_ms_per_window, f"{cost.ms_per_window:g} ms a window"
    if fast or candidate.champion_path is None:
        return fast, found
    try:
        champion = measure(candidate.champion_path, gate.memory_clip_s)
    except FootprintError as error:
        return False, f"{found}; of the champion: {error}"
    return cost.ms <= champion.ms, f"{found}, {cost.ms / champion.ms:.2f} of the champion's time"


def check_metrics(candidate: Candidate, gate: Gate) -> list[Check]:
    """No figure worse than the champion's beyond the interval; for a first version, than a fixed bound."""
    names, least = gate.metric.names, gate.metric.min_clips_per_label
    spoof = sum(clip.label == "spoof" for clip in candidate.clips)
    if min(spoof, len(candidate.clips) - spoof) < least:
        found = candidate.no_clips or f"{spoof} spoof, {len(candidate.clips) - spoof} bona fide"
        return [Check("metrics", False, found, f"at least {least} clips of each label in split {gate.split}")]
    try:
        one = score(candidate.model, candidate.version.sha256, candidate.clips, candidate.cache, "candidate")
        if candidate.champion is None:
            return [_check_bound(name, np.array(one.llr), np.array(one.spoof), gate) for name in names]
        other = score(
            candidate.champion, candidate.champion_sha256, candidate.clips, candidate.cache, "champion"
        )
        ours, theirs, labels = common(one, other)
    except (MeasureError, ModelError) as error:
        return [Check("metrics", False, str(error), "both versions scored on the same clips")]
    return [_check_contrast(name, ours, theirs, labels, gate) for name in names]


def _check_bound(name: str, llr: np.ndarray, spoof: np.ndarray, gate: Gate) -> Check:
    figure, bound = FIGURES[name](llr, spoof), gate.metric.worst_without_champion[name]
    return Check(
        name, figure <= bound, f"{figure:.4f} on {len(llr)} clips", f"at most {bound:g} for a first version"
    )


def _check_contrast(name: str, ours: np.ndarray, theirs: np.ndarray, spoof: np.ndarray, gate: Gate) -> Check:
    result = contrast(name, ours, theirs, spoof, gate.metric.resamples)
    return Check(
        name, result.finding != "worse", f"{result} on {len(ours)} clips", "no worse than the champion"
    )


def check_flips(candidate: Candidate, gate: Gate) -> list[Check]:
    """A harmless change that flips none of the champion's verdicts may flip none of the candidate's."""
    if not candidate.clips:
        return [Check("flips", False, candidate.no_clips, "clips to try harmless changes on")]
    clips = choose(candidate.clips, gate.flips.clips)
    try:
        ours = count_flips(candidate.path, clips, gate.flips.changes)
    except ModelError as error:  # what comes of a change may be what the graph has no score for
        return [Check("flips", False, str(error), "a score under every harmless change")]
    theirs = (
        count_flips(candidate.champion_path, clips, gate.flips.changes) if candidate.champion_path else {}
    )
    return [
        _check_flip(change, ours[change], theirs.get(change), len(clips)) for change in gate.flips.changes
    ]


def _check_flip(change: str, ours: int, theirs: int | None, clips: int) -> Check:
    compared = "no champion to compare with" if theirs is None else f"champion {theirs}"
    found = f"{ours} of {clips} clips, {compared}"
    return Check(f"flips under {change}", ours == 0 or theirs != 0, found, "none where the champion has none")


Judgement = Callable[[Candidate, Gate], list[Check]]
JUDGEMENTS: Sequence[Judgement] = (check_manifest, check_graph, check_budgets, check_metrics, check_flips)
