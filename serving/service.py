"""What a worker holds between requests: the model, the scoring threads, the decoders, the counters."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, TypeVar

from serving import pull, reload, shadow, telemetry
from serving.admission import ScoringThreads
from serving.decoder import DecoderPool
from serving.detection import Detection, detect
from serving.detector import Detector
from serving.drift import Drift
from serving.errors import ModelUnavailable
from serving.memory import keep_freed
from serving.models import ModelSlot
from serving.reload import Reloader, load_first, stamp_of
from serving.settings import Settings
from serving.shadow import Shadow, Tapped
from serving.shelf import Shelf
from serving.telemetry import Board

T = TypeVar("T")
FREE_THREADS = 8  # of the request threads, for health checks and refusals while bodies come in slowly
log = logging.getLogger(__name__)


class Service:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.models = ModelSlot()
        self.board = Board(telemetry.METRICS + reload.METRICS + shadow.METRICS)
        self.reloader: Reloader | None = None
        self.drift = Drift()
        self.shadow = Shadow(settings.challenger, settings.shadow_share, self.board)
        self.shelf = Shelf(self.models, settings.challenger, settings.models, settings.threads)
        places = max(1, settings.request_threads - FREE_THREADS)
        if places < settings.queue + settings.scorers:
            log.warning(
                "%d request threads take in %d clips at a time: BONAFIDE_QUEUE=%d can't fill. "
                "Raise BONAFIDE_REQUEST_THREADS.",
                settings.request_threads, places, settings.queue,
            )  # fmt: skip
        self._admitted = threading.BoundedSemaphore(places)
        self._scoring = ScoringThreads(settings.scorers, settings.queue, settings.wait_s)
        self._decoders = DecoderPool(settings.scorers)
        self._starting = threading.Lock()
        self._started = False

    def start(self, row: int = 0) -> None:
        """Load the model and start the decoder, once, in the process that will use them.

        A server that forks calls it in each worker, with a row of the counters that no live worker has; else
        the first request does. Until here no thread and no process was started, so that forking is safe.
        """
        with self._starting:
            if self._started:
                return
            keep_freed()
            telemetry.claim_row(row)
            self.board.clear_gauges()
            self._scoring.in_background(self._decoders.start)
            path, threads = self.settings.model, self.settings.threads
            found = stamp_of(path)
            load_first(self.models, path, threads)
            if self.models.problem:
                log.error("Serving without the model that was asked for: %s", self.models.problem)
            self.reloader = Reloader(self.models, path, threads, self.board, found)
            self.reloader.start()
            self._started = True

    def stop(self) -> None:
        """End the scoring threads and the decoder processes; a worker that exits does so anyway."""
        if self.reloader is not None:
            self.reloader.stop()
        self.shadow.stop()
        self._scoring.stop()
        self._decoders.stop()

    def detector(self) -> Detector:
        """The current model. Raises ModelUnavailable with the reason."""
        detector = self.models.detector
        if detector is None:
            raise ModelUnavailable(f"No model is loaded. {self.models.problem}")
        return detector

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """A place for a request with a body, from its first byte to its answer.

        Refuses before the body is read. Raises ModelUnavailable, Overloaded.
        """
        self.detector()
        if self._scoring.full or not self._admitted.acquire(blocking=False):
            raise self._scoring.refuse()
        try:
            yield
        finally:
            self._admitted.release()

    def detect(self, file: IO[bytes]) -> Detection:
        """Score an uploaded clip in turn. Raises ClipError, Overloaded, ModelError, ModelUnavailable."""
        return self._scoring.run(lambda: self._score(file))

    def in_turn(self, work: Callable[[], T]) -> T:
        """Other scoring than of an uploaded clip, in the same queue. Raises Overloaded, and as `work`."""
        return self._scoring.run(work)

    def _score(self, file: IO[bytes]) -> Detection:
        detector = self.detector()
        start = time.monotonic()
        shadowed = self.shadow.chosen()
        with self._decoders.open(file, self.settings.limits) as opened:
            clip = Tapped(opened) if shadowed else opened
            detection = detect(clip, detector)
        seconds = time.monotonic() - start
        self.board.add("bonafide_scoring_seconds_total", seconds)
        if isinstance(clip, Tapped):
            self.shadow.offer(clip, detection, seconds)
        return detection

    @contextlib.contextmanager
    def counted_in_flight(self) -> Iterator[None]:
        self.board.add("bonafide_in_flight", 1)
        try:
            yield
        finally:
            self.board.add("bonafide_in_flight", -1)

    def count(self, detection: Detection, size: int, seconds: float) -> None:
        verdict = detection.verdict
        self.board.add("bonafide_detections_total", label=verdict.verdict)
        self.board.add("bonafide_audio_seconds_total", verdict.duration_s)
        self.board.add("bonafide_windows_total", len(verdict.windows))
        self.board.add("bonafide_upload_bytes_total", size)
        self.board.observe("bonafide_detect_seconds", seconds)
        self.drift.add(detection)

    def count_refusal(self, code: str) -> None:
        self.board.add("bonafide_detections_total", label=code)

    def model_lines(self) -> list[str]:
        """The model of the worker that is asked, as a Prometheus series."""
        lines = ["# HELP bonafide_ready 1 if the model asked for is served.", "# TYPE bonafide_ready gauge"]
        lines.append(f"bonafide_ready {int(self.models.ready)}")
        if (detector := self.models.detector) is not None:
            labels = {"version": detector.manifest.version, "sha256": detector.sha256}
            text = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
            lines += ["# HELP bonafide_model_info The model served.", "# TYPE bonafide_model_info gauge"]
            lines.append(f"bonafide_model_info{{{text}}} 1")
        lines += self.drift.lines(detector.manifest if detector else None)
        return [*lines, *pull.metric_lines(self.settings.model.parent)]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
