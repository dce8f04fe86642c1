"""A share of live clips -> scored again by the challenger, off the response path, in a process of its own.

The worker copies a chosen clip's decoded samples as they pass (clips up to a minute) and hands them over
after its own verdict; a queue of four bounds what waits, and what finds no place is dropped and counted. A
challenger that hangs is killed, one that crashes is started again ever more seldom. Samples stay in memory
alone and only until they are scored; with no share set, none is held at all.
"""

from __future__ import annotations

import contextlib
import queue
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.audio import SAMPLE_RATE, ClipFacts, Samples
from serving.challenger import Challenger
from serving.detection import Clip, Detection
from serving.reload import Stamp, stamp_of
from serving.telemetry import SECONDS, Board, Metric

MOST_SAMPLES = 60 * SAMPLE_RATE
MOST_WAITING = 4
STOP_S = 30.0  # for a clip that is being scored
LONGEST_PAUSE_S = 60.0  # between starts of a challenger that keeps failing
OUTCOMES = ("agreed", "disagreed", "dropped", "too_long", "failed", "other")
APART = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
METRICS = (
    Metric("bonafide_shadow_clips_total", "counter", "Clips offered to the challenger.", "outcome", OUTCOMES),
    Metric("bonafide_shadow_champion_seconds", "histogram", "Scoring by the served model.", buckets=SECONDS),
    Metric("bonafide_shadow_challenger_seconds", "histogram", "Scoring by the challenger.", buckets=SECONDS),
    Metric("bonafide_shadow_llr_apart", "histogram", "|challenger's LLR - served LLR|.", buckets=APART),
    Metric("bonafide_shadow_llr_shift", "gauge", "Sum of challenger's LLR - served LLR."),
)
NAMES = tuple(metric.name for metric in METRICS)


class Tapped:
    """A clip whose blocks are kept as they pass, and whose decoding is timed."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._kept: list[Samples] = []
        self._count = 0
        self.decoding_s = 0.0

    @property
    def facts(self) -> ClipFacts:
        return self._clip.facts

    def __iter__(self) -> Iterator[Samples]:
        start = time.monotonic()
        for block in self._clip:
            self.decoding_s += time.monotonic() - start
            self._count += len(block)
            if self._count <= MOST_SAMPLES:
                self._kept.append(block.copy())
            else:
                self._kept.clear()
            yield block
            start = time.monotonic()

    @property
    def samples(self) -> Samples | None:
        """(N,), None for a clip that is longer than what may be held."""
        return np.concatenate(self._kept) if 0 < self._count <= MOST_SAMPLES else None


@dataclass(frozen=True)
class Job:
    """A clip to score again, and what the served model said of it."""

    samples: Samples
    llr: float
    verdict: str
    seconds: float
    sha256: str  # of the served model


class Shadow:
    """Offers clips to the challenger at `path`; every method returns at once and raises nothing."""

    def __init__(self, path: Path, share: float, board: Board) -> None:
        self._path, self._share, self._board = path, share, board
        self._jobs: queue.Queue[Job | None] = queue.Queue(MOST_WAITING)
        self._challenger: Challenger | None = None
        self._stamp: Stamp = ()
        self._served = ""  # sha256 of the model that the figures compare with
        self._pause_s, self._not_before = 0.0, 0.0
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.problem = ""

    @property
    def facts(self) -> dict[str, Any]:
        """Name, version and sha256 of the challenger that runs in this worker, empty where none does."""
        challenger = self._challenger
        return challenger.facts if challenger is not None else {}

    def chosen(self) -> bool:
        """Whether the next clip is one of the share."""
        return self._share > 0 and random.random() < self._share and self._path.exists()

    def offer(self, clip: Tapped, detection: Detection, seconds: float) -> None:
        """Hands over a clip that was chosen and scored in `seconds`, decoding included."""
        samples = clip.samples
        if samples is None:
            self._count("too_long")
            return
        verdict = detection.verdict
        scoring_s = max(0.0, seconds - clip.decoding_s)
        job = Job(samples, verdict.llr, verdict.verdict, scoring_s, detection.model["sha256"])
        with self._starting:  # several clips may be scored at a time, and be the first together
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
                self._thread.start()
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self._count("dropped")

    def stop(self) -> None:
        """Ends the thread and the process; clips that wait are dropped."""
        if self._thread is not None:
            with contextlib.suppress(queue.Empty):
                while True:
                    self._jobs.get_nowait()
            self._jobs.put(None)
            self._thread.join(STOP_S)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._shadow(job)
        self._end()

    def _shadow(self, job: Job) -> None:
        if time.monotonic() < self._not_before:
            self._count("dropped")
            return
        try:
            challenger = self._ready(job.sha256)
            if challenger.facts.get("sha256") == job.sha256:
                return  # it was promoted: agreeing with itself says nothing
            answer = challenger.score(job.samples)
            self._note(job, str(answer["verdict"]), float(answer["llr"]), float(answer["seconds"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._end()
            self.problem = str(error) or type(error).__name__
            self._pause_s = min(max(1.0, 2 * self._pause_s), LONGEST_PAUSE_S)
            self._not_before = time.monotonic() + self._pause_s
            self._count("failed")

    def _ready(self, served: str) -> Challenger:
        """The running challenger, started where there is none or its file has changed."""
        stamp = stamp_of(self._path)
        if (stamp, served) != (self._stamp, self._served):
            self._board.clear(NAMES)  # figures are of one challenger beside one served model
        if stamp != self._stamp:
            self._end()
            self._pause_s = 0.0
        self._stamp, self._served = stamp, served
        if self._challenger is None:
            self._challenger = Challenger(self._path)
        return self._challenger

    def _note(self, job: Job, verdict: str, llr: float, seconds: float) -> None:
        self._pause_s, self.problem = 0.0, ""
        self._count("agreed" if verdict == job.verdict else "disagreed")
        self._board.observe("bonafide_shadow_champion_seconds", job.seconds)
        self._board.observe("bonafide_shadow_challenger_seconds", seconds)
        self._board.observe("bonafide_shadow_llr_apart", abs(llr - job.llr))
        self._board.add("bonafide_shadow_llr_shift", llr - job.llr)

    def _count(self, outcome: str) -> None:
        self._board.add("bonafide_shadow_clips_total", label=outcome)

    def _end(self) -> None:
        if self._challenger is not None:
            self._challenger.close()
            self._challenger = None


def summary(board: Board, shadow: Shadow, share: float) -> dict[str, Any]:
    """What the models page shows, over all workers."""
    outcomes = dict(zip(OUTCOMES, board.totals(NAMES[0]), strict=True))
    scored = outcomes["agreed"] + outcomes["disagreed"]
    *_, count, champion_s = board.totals(NAMES[1])
    *_, _, challenger_s = board.totals(NAMES[2])
    *_, _, apart = board.totals(NAMES[3])
    (shift,) = board.totals(NAMES[4])
    return {
        "share": share,
        "challenger": shadow.facts,
        "problem": shadow.problem,
        "outcomes": outcomes,
        "agreement": outcomes["agreed"] / scored if scored else None,
        "mean_llr_shift": shift / count if count else None,
        "mean_llr_apart": apart / count if count else None,
        "champion_ms": 1000 * champion_s / count if count else None,
        "challenger_ms": 1000 * challenger_s / count if count else None,
    }
