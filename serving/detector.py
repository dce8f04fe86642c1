"""Blocks of 16 kHz samples -> one calibrated LLR a window, by one ONNX graph with its manifest inside."""

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.activity import Activity, LevelMeter, mean, measured
from serving.chunking import Chunk, Samples, calls, chunks, windows_in
from serving.errors import ModelError
from serving.frames import FrameTrack, LLRs
from serving.manifest import METADATA_KEY, Manifest
from serving.ordered import in_order
from serving.sections import Sectioner, Sections
from serving.session import options
from serving.stretches import Floats

INPUT, WINDOWS, FRAMES = "waveform", "window_llr", "frame_llr"
NOVELTY = "novelty"  # of each window: 1 is rare in data like those that the model was trained on
ORIGIN = "frame_origin"  # of each frame a few numbers, alike where voice, room, channel and generator are
BY_WINDOW = (WINDOWS, NOVELTY)
# Of one call of the graph: onnxruntime's arena keeps as much as the largest call took. Where windows overlap,
# a call's first costs most and longer calls pay. Side by side three are enough to share the reading of the
# weights; what more of them pass on leaves the processor's cache.
CALL_SAMPLES, CALL_WINDOWS = 12 * 16_000, 3
NEIGHBOUR_TOLERANCE = 1e-3  # between a window alone and in a chunk, when a model is opened

Outputs = dict[str, LLRs]  # of one chunk, by name


@dataclass(frozen=True)
class Scores:
    """What the graph says of one clip. LLRs rise with spoof."""

    window_starts: npt.NDArray[np.int64]  # (W,) samples
    window_llr: LLRs  # (W,)
    frame_llr: LLRs | None  # (F,), frame f from sample f * frame_hop on; None if the model has no frames
    window_speech: Floats  # (W,) share of each that is speech: what it says counts so much
    activity: Activity  # of the clip
    total_samples: int
    novelty: LLRs | None = None  # (W,), None if the model can't tell
    sections: Sections | None = None  # of one origin, None if the model can't tell

    @property
    def clip_novelty(self) -> float | None:
        """The clip's: the mean over its windows by their speech; None without a window or where the model
        can't tell.
        """
        if self.novelty is None or not len(self.novelty):
            return None
        return mean(self.novelty, self.window_speech)


class Detector:
    """A model that is open. `score` may be called from several threads; each costs memory for its call."""

    def __init__(
        self, session: Any, manifest: Manifest, sha256: str, size: int, path: Path, threads: int = 1
    ) -> None:
        self.manifest = manifest
        self._threads = threads
        self.sha256 = sha256
        self.size = size
        self.path = path
        self._session = session
        offered = {node.name for node in session.get_outputs()}
        wanted = (WINDOWS, FRAMES, ORIGIN) if manifest.frame_hop_samples else (WINDOWS,)
        self._outputs = [name for name in (*wanted, NOVELTY) if name in offered]

    @classmethod
    def open(cls, path: Path, threads: int = 1, expected_sha256: str | None = None) -> "Detector":
        """Read, check and warm a model file. Raises ModelError with what was found and what to do.

        `threads` calls of the graph run at a time for one clip, each by one thread: threads that share a call
        wait for each other. What is heard again comes on top, one call at a time.
        """
        # Not at the top: importing it starts a thread, and a process forked after that hangs when it exits.
        import onnxruntime

        content, sha256 = _read(path, expected_sha256)
        try:
            session = onnxruntime.InferenceSession(
                content, options(content), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own exceptions share no base but Exception
            raise ModelError(
                f"{path} is not a model that onnxruntime can load: {error}. Export it again."
            ) from None
        metadata = session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise ModelError(f"{path} holds no manifest. Export the model with `make export`.")
        manifest = Manifest.from_json(metadata[METADATA_KEY])
        _check_graph(session, manifest)
        detector = cls(session, manifest, sha256, len(content), path, threads)
        detector._warm()
        return detector

    def score(
        self, blocks: Iterable[Samples], max_windows: int | None = None, with_sections: bool = True
    ) -> Scores:
        """Mono 16 kHz blocks -> Scores, a chunk or two by a call of the graph. Memory doesn't grow with the
        clip. Without sections nothing is heard twice.

        Raises ModelError if the graph breaks its contract, and whatever `blocks` raises.
        """
        meter = LevelMeter()
        starts, by_window = array("q"), {n: array("f") for n in self._outputs if n in BY_WINDOW}
        frames = FrameTrack(self.manifest.frame_hop_samples)
        sections = self._sectioner() if with_sections else None
        hop = self.manifest.hop_samples
        for chunk, outputs in in_order(
            self._run, self._calls(measured(blocks, meter), max_windows), self._threads
        ):
            starts.extend(range(chunk.start_sample, chunk.start_sample + hop * len(outputs[WINDOWS]), hop))
            for name, row in by_window.items():
                row.frombytes(outputs[name].tobytes())
            if FRAMES in outputs:
                frames.add(chunk.start_sample, outputs[FRAMES])
            if sections:
                heard = (outputs[name] for name in (WINDOWS, FRAMES, ORIGIN))
                sections.add(chunk.start_sample, chunk.samples, *heard)
        joined = {name: np.frombuffer(row, np.float32) for name, row in by_window.items()}
        activity, first = meter.activity(), np.frombuffer(starts, np.int64)
        return Scores(
            first,
            joined[WINDOWS],
            frames.joined(meter.total) if FRAMES in self._outputs else None,
            activity.within(first, np.minimum(first + self.manifest.window_samples, meter.total)),
            activity,
            meter.total,
            joined.get(NOVELTY),
            sections.done(meter.total, activity) if sections and starts else None,
        )

    def _sectioner(self) -> Sectioner | None:
        """None where the model does not tell origins, or where its windows overlap."""
        manifest = self.manifest
        geometry = (manifest.window_samples, manifest.frame_hop_samples, manifest.sample_rate)
        told = ORIGIN in self._outputs and manifest.hop_samples == manifest.window_samples
        return Sectioner(*geometry, self._again) if told else None

    def _again(self, rows: Samples) -> LLRs:
        """(n, window) -> (n,) LLRs."""
        windows = [Chunk(0, row) for row in rows]
        some = (windows[at : at + CALL_WINDOWS] for at in range(0, len(windows), CALL_WINDOWS))
        return np.concatenate([outputs[WINDOWS] for call in some for outputs in self._run(call)])

    def _calls(self, blocks: Iterable[Samples], max_windows: int | None = None) -> Iterator[list[Chunk]]:
        """The chunks of a clip, call by call of the graph."""
        window, hop = self.manifest.window_samples, self.manifest.hop_samples
        most = max_windows or windows_a_call(self.manifest)
        return calls(chunks(blocks, window, hop, most), window, hop, most)

    def _run(self, call: list[Chunk]) -> list[Outputs]:
        """Chunks -> what the graph says of each by name, (windows,) or (frames,), checked.

        Several are whole windows side by side: each window is a row of the batch.
        """
        window, hop = self.manifest.window_samples, self.manifest.hop_samples
        rows = rows_of(call, window)
        counts = [windows_in(len(chunk.samples), window, hop) for chunk in call]
        try:
            found = self._session.run(self._outputs, {INPUT: rows})
        except Exception as error:  # as above: onnxruntime's own
            raise ModelError(
                f"The graph fails on {rows.size} samples: {error}. Export the model again."
            ) from None
        flat = (values.ravel().astype(np.float32, copy=False) for values in found)
        outputs = dict(zip(self._outputs, flat, strict=True))
        windows = len(outputs[WINDOWS])
        if windows != sum(counts) or (len(call) > 1 and any(len(v) % windows for v in outputs.values())):
            raise ModelError(
                f"The graph gave {windows} windows for {rows.size} samples, "
                f"its manifest says {sum(counts)}. Export the model again."
            )
        if ORIGIN in outputs and (not len(outputs[FRAMES]) or len(outputs[ORIGIN]) % len(outputs[FRAMES])):
            raise ModelError(
                f"The graph gave {len(outputs[ORIGIN])} numbers of origin for {len(outputs[FRAMES])} frames, "
                "expected as many for each. Export the model again."
            )
        if not all(np.isfinite(values).all() for values in found):
            raise ModelError(f"The graph gave a score that is not finite at sample {call[0].start_sample}.")
        return _by_chunk(outputs, counts)

    def _warm(self) -> None:
        """Score a little noise: proves shapes, finiteness and that a window ignores its neighbours."""
        window, hop = self.manifest.window_samples, self.manifest.hop_samples
        noise = np.random.default_rng(0).normal(0, 0.05, window + 2 * hop).astype(np.float32)
        second = Chunk(hop, noise[hop : hop + window])
        alone = float(self._run([second])[0][WINDOWS][0])
        together = [float(self._run([Chunk(0, noise)])[0][WINDOWS][1])]
        if hop == window:
            together.append(float(self._run([Chunk(0, noise[:window]), second])[1][WINDOWS][0]))
        for llr in together:
            if abs(llr - alone) > NEIGHBOUR_TOLERANCE:
                raise ModelError(
                    f"A window scores {alone:.4f} alone and {llr:.4f} beside others. Export the model again."
                )


def rows_of(call: list[Chunk], window_samples: int) -> Samples:
    """Chunks -> the graph's input: one as it is, (1, N), several window by window, (windows, window)."""
    if len(call) == 1:
        return call[0].samples[None]
    return np.concatenate([chunk.samples for chunk in call]).reshape(-1, window_samples)


def _by_chunk(outputs: Outputs, counts: list[int]) -> list[Outputs]:
    """Rows over the windows of some chunks -> those of each chunk, of so many windows."""
    ends = np.cumsum(counts)[:-1]  # of the chunks, in windows
    parts = {name: np.split(row, ends * (len(row) // sum(counts))) for name, row in outputs.items()}
    return [{name: rows[index] for name, rows in parts.items()} for index in range(len(counts))]


def windows_a_call(manifest: Manifest) -> int:
    """Side by side CALL_WINDOWS; where they overlap, as many as CALL_SAMPLES hold, at least one."""
    if manifest.hop_samples >= manifest.window_samples:
        return CALL_WINDOWS
    return max(1, windows_in(CALL_SAMPLES, manifest.window_samples, manifest.hop_samples))


def _read(path: Path, expected_sha256: str | None) -> tuple[bytes, str]:
    """Content and its sha256, checked where one is expected."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"The model file {path} can't be read: {error.strerror}.") from None
    found = hashlib.sha256(content).hexdigest()
    if expected_sha256 is not None and found != expected_sha256.lower():
        raise ModelError(
            f"{path} has sha256 {found}, expected {expected_sha256}. Restore the file or export it again."
        )
    return content, found


def _check_graph(session: Any, manifest: Manifest) -> None:
    inputs = [node.name for node in session.get_inputs()]
    outputs = {node.name for node in session.get_outputs()}
    expected = {WINDOWS, FRAMES} if manifest.frame_hop_samples else {WINDOWS}
    if inputs != [INPUT] or not expected <= outputs:
        raise ModelError(
            f"The graph has inputs {inputs} and outputs {sorted(outputs)}, "
            f"expected [{INPUT!r}] and {sorted(expected)}. Export the model again."
        )
