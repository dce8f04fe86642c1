"""Pool -> training batches: real clips beside their twins through one channel, other spoofs, and splices
made on the fly.

Real clips are drawn evenly over sources and spoofs over generators, softened by a square root. Half of a
batch is real.
"""

import copy
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from scipy.signal import resample
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from serving.audio import SAMPLE_RATE
from training.augment import channel, crop
from training.config import TrainConfig
from training.datasets import Clip
from training.machine import CPU
from training.pool import CACHE, Pool, pool

FADE_SAMPLES = 160  # 10 ms cross-fade at a join
SEGMENT_S = (0.3, 1.2)  # length of a spliced-in part
EVEN_SAMPLES = 64  # a stretch to be resampled is a multiple of it: such Fourier transforms are fast
SILENCE_DB = -40.0  # below the clip's loudest frame: such frames teach nothing
JOINED = -1  # kind of what was made of two clips


@dataclass(frozen=True)
class Composition:
    """How many of what in a batch."""

    pairs: int  # a real clip and its twin or a spoof of its source, in one channel
    real: int
    spoof: int
    coded_share: float = 0.35  # of clips taken in the variant that went through a codec
    source_share: float = 0.0  # of pairs whose spoof is one of the same source instead of the twin
    splice_share: float = 0.15  # of pairs made partial spoofs, and again of pairs joined within a label
    speed: float = 0.0  # every second clip is played up to this share faster or slower

    @classmethod
    def of(cls, config: TrainConfig) -> "Composition":
        """The fields that a configuration has by the same names."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Batch:
    waveform: torch.Tensor  # (B, N) float32; the pairs first: real, twin, real, twin, ...
    spoof: torch.Tensor  # (B,) 0 or 1
    frame_spoof: torch.Tensor  # (B, F)
    frame_weight: torch.Tensor  # (B, F) 0 where the frame is silent
    kind: torch.Tensor  # (B,) int64, a number for each source of real clips and each generator, or JOINED
    clean: torch.Tensor | None = None  # (B, N) the same clips, crops and joins before any channel or codec

    def to(self, device: torch.device) -> "Batch":
        """The same batch in a device's memory."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in parts.items() if v is not None})


def _weights(keys: Sequence[str]) -> np.ndarray:
    """Probability of each item, so that a key with n items is drawn in proportion to sqrt(n)."""
    counts = Counter(keys)
    weights = np.array([counts[key] ** -0.5 for key in keys])
    return weights / weights.sum() if len(keys) else weights


def _numbered(clips: Sequence[Clip]) -> list[int]:
    """A number for each clip, the same for real clips of a source and for spoofs of a generator."""
    names = [(clip.label, clip.source if clip.label == "bonafide" else clip.attack) for clip in clips]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    return [numbers[name] for name in names]


def join(base: np.ndarray, insert: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A stretch of `insert` in place of the same stretch of `base`, at base's level -> waveform (N,), mask
    (N,) of the stretch.
    """
    size = int(rng.uniform(*SEGMENT_S) * SAMPLE_RATE)
    start = int(rng.integers(0, len(base) - size + 1))
    mask = np.zeros(len(base), dtype=np.float32)
    mask[start : start + size] = 1
    soft = np.convolve(mask, np.ones(FADE_SAMPLES, dtype=np.float32) / FADE_SAMPLES, mode="same")
    level = np.sqrt((np.mean(base**2) + 1e-9) / (np.mean(insert**2) + 1e-9))
    return (base * (1 - soft) + insert * min(level, 10.0) * soft).astype(np.float32), mask


@dataclass(frozen=True)
class Item:
    """One clip of a batch, the fields as there."""

    waveform: np.ndarray  # (N,)
    spoof: float
    mask: np.ndarray  # (N,) 1 where it is spoofed
    kind: int


class Batches(IterableDataset[Batch]):
    """Endless batches; the same seed gives the same batches."""

    def __init__(
        self,
        clips: Sequence[Clip],
        twins: Sequence[Clip],
        pool: Pool,
        composition: Composition,
        geometry: tuple[int, int, int],
        strength: float,
        seed: int,
        held_out: frozenset[str] = frozenset(),
        with_clean: bool = False,
    ) -> None:
        """`pool` holds clips then twins; geometry is (window samples, frame hop samples or 0, frames). Clips
        of the sources in `held_out` are never drawn, nor are their twins.
        """
        self.with_clean = with_clean
        self.pool, self.composition, self.strength, self.seed = pool, composition, strength, seed
        self.window, self.frame_hop, self.frames = geometry
        learnt = [(i, c) for i, c in enumerate(clips) if c.source not in held_out]
        real = [i for i, c in learnt if c.label == "bonafide"]
        spoof = [i for i, c in learnt if c.label == "spoof"]
        self.real, self.real_weights = np.array(real), _weights([clips[i].source for i in real])
        self.spoof, self.spoof_weights = np.array(spoof), _weights([clips[i].attack for i in spoof])
        held: dict[str, list[int]] = defaultdict(list)
        for i in spoof:
            held[clips[i].source].append(i)
        self.held = {
            source: (np.array(rows), _weights([clips[i].attack for i in rows]))
            for source, rows in held.items()
        }
        both = [i for i in real if clips[i].source in self.held]
        self.both, self.both_weights = np.array(both), _weights([clips[i].source for i in both])
        self.sources = [clip.source for clip in clips]
        self.kinds = _numbered([*clips, *twins])
        made: dict[str, list[int]] = defaultdict(list)
        for offset, twin in enumerate(twins):
            made[twin.path.stem].append(len(clips) + offset)
        self.twins = {i: made[clips[i].path.stem] for i in real if clips[i].path.stem in made}

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        untouched = copy.copy(self)
        untouched.composition, untouched.strength = replace(self.composition, coded_share=0.0), 0.0
        while True:
            again = copy.deepcopy(rng) if self.with_clean else None
            batch = self._batch(rng)
            # The same draws give the same clips and crops: channels have generators of their own.
            yield replace(batch, clean=untouched._batch(again).waveform) if again else batch

    def _crop(self, index: int, rng: np.random.Generator) -> np.ndarray:
        variant = "coded" if rng.random() < self.composition.coded_share else "plain"
        samples = self.pool.get(index, variant)
        if self.composition.speed and rng.random() < 0.5:
            faster = 1 + rng.uniform(-self.composition.speed, self.composition.speed)
            taken = round(self.window * faster / EVEN_SAMPLES) * EVEN_SAMPLES
            return resample(crop(samples, taken, rng), self.window).astype(np.float32)
        return crop(samples, self.window, rng)

    def _draw(self, label: str, rng: np.random.Generator) -> int:
        items, weights = (
            (self.real, self.real_weights) if label == "real" else (self.spoof, self.spoof_weights)
        )
        return int(rng.choice(items, p=weights))

    def _partners(self, rng: np.random.Generator) -> tuple[int, int]:
        """A real clip and its twin, or a spoof of the same source: the source does not tell them apart."""
        if len(self.both) and rng.random() < self.composition.source_share:
            index = int(rng.choice(self.both, p=self.both_weights))
            items, weights = self.held[self.sources[index]]
            return index, int(rng.choice(items, p=weights))
        index = self._draw("real", rng)
        return index, int(rng.choice(self.twins[index])) if index in self.twins else self._draw("spoof", rng)

    def _pair(self, rng: np.random.Generator) -> list[Item]:
        """A real clip and its partner, cut alike; some as splices: a spoofed part in the real one, or joins
        within each label.
        """
        index, partner = self._partners(rng)
        seed = int(rng.integers(2**31))
        real, twin = (self._crop(i, np.random.default_rng(seed)) for i in (index, partner))
        none, every = np.zeros(self.window, np.float32), np.ones(self.window, np.float32)
        first, second = self.kinds[index], self.kinds[partner]
        drawn = rng.random()
        if drawn < self.composition.splice_share:
            twin, mask = join(
                real, twin if rng.random() < 0.5 else self._crop(self._draw("spoof", rng), rng), rng
            )
            return [Item(real, 0.0, none, first), Item(twin, 1.0, mask, JOINED)]
        if drawn < 2 * self.composition.splice_share:
            real, _ = join(real, self._crop(self._draw("real", rng), rng), rng)
            twin, _ = join(twin, self._crop(self._draw("spoof", rng), rng), rng)
            first = second = JOINED
        return [Item(real, 0.0, none, first), Item(twin, 1.0, every, second)]

    def _batch(self, rng: np.random.Generator) -> Batch:
        items = []
        for _ in range(self.composition.pairs):
            seed = int(rng.integers(2**31))
            for item in self._pair(rng):
                heard = channel(item.waveform, np.random.default_rng(seed), self.strength)
                items.append(replace(item, waveform=heard))
        for label, count in (("real", self.composition.real), ("spoof", self.composition.spoof)):
            spoof = float(label == "spoof")
            for _ in range(count):
                index = self._draw(label, rng)
                samples = self._crop(index, rng)
                seed = int(rng.integers(2**31))
                heard = channel(samples, np.random.default_rng(seed), self.strength)
                mask = np.full(self.window, spoof, np.float32)
                items.append(Item(heard, spoof, mask, self.kinds[index]))
        waveform = np.stack([np.float32(item.waveform) for item in items])
        masks = np.stack([item.mask for item in items])
        spoofs = np.array([item.spoof for item in items], np.float32)
        kinds = np.array([item.kind for item in items], np.int64)
        centres, weight = self._frame_facts(waveform)
        return Batch(*map(torch.from_numpy, (waveform, spoofs, masks[:, centres], weight, kinds)))

    def _frame_facts(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Middle sample of each frame (F,), and 1 where a frame is not silent (B, F)."""
        if not self.frames:
            return np.zeros(0, int), np.zeros((len(waveform), 0), np.float32)
        side = (self.window - (self.frames - 1) * self.frame_hop) // 2
        centres = side + self.frame_hop * np.arange(self.frames)
        spans = np.lib.stride_tricks.sliding_window_view(waveform, self.frame_hop, axis=1)[
            :, centres - self.frame_hop // 2
        ]
        power = np.mean(spans**2, axis=2) + 1e-10
        loud = power > power.max(axis=1, keepdims=True) * 10 ** (SILENCE_DB / 10)
        return centres, loud.astype(np.float32)


def loaded(
    batches: Batches, device: torch.device = CPU, processes: int = 1, ahead: int = 8
) -> Iterator[Batch]:
    """The batches in a device's memory, made by processes of their own, each `ahead` of them beforehand."""
    made = DataLoader(batches, batch_size=None, num_workers=processes, prefetch_factor=ahead)
    return (batch.to(device) for batch in made)


def drawn(
    lists: Sequence[Sequence[Clip]],
    composition: Composition,
    geometry: tuple[int, int, int],
    strength: float,
    seed: int,
) -> Iterator[Batch]:
    """Batches of the clips of some lists, without twins: for who wants to know how training sounds."""
    clips = [clip for part in lists for clip in part]
    return loaded(Batches(clips, [], pool(lists, CACHE), composition, geometry, strength, seed))
