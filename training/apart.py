"""A run with novelty -> the same with a fourth output: what tells recordings apart, so that verdicts can say
which stretches of a clip belong together.

    python -m training.apart --run RUN --data corpus/train.tsv

Learnt from clips alone, whatever their labels: two stretches of one clip are to lie nearer to each other than
to those of other voices, sources and generators. Spans are ruled anew on the curve that comes of it.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from serving.activity import LevelMeter
from serving.audio import SAMPLE_RATE
from serving.sections import Sectioner
from training import models
from training.checkpoints import checkpoint, detector_of
from training.config import TrainConfig, TrainingError, configure
from training.datasets import Clip, read
from training.derived import derived, keep
from training.encoder import EncoderNet
from training.metrics import eer
from training.origin import Origin, contrast, even_distance
from training.outcome import span_rule
from training.pool import CACHE, VARIANTS, Pool, pool
from training.refusals import in_a_line
from training.scoring import chunks_of

NUMBERS = 8  # a frame: with 16 edges stand out a little more, splices are located no better
STEPS, BATCH, LR = 1500, 128, 2e-3
TOGETHER = 4  # clips of one source in a row: what tells its voices and generators apart is asked too
STRETCH = (8, 31)  # frames, the second one more than the longest
CODED_SHARE = 0.3
PAIRS = 4  # of each dev clip and variant, of one origin and of two


@dataclass(frozen=True)
class Track:
    """What the convolutions make of one clip."""

    sound: np.ndarray  # (F, width) float16
    source: str
    kind: str  # of one voice and making


def tracks(
    encoder: EncoderNet, clips: Sequence[Clip], held: Pool, config: TrainConfig, seed: int
) -> list[Track]:
    """Of the clips that hold two stretches, some of them as a codec leaves them."""
    rng = np.random.default_rng(seed)
    found = []
    for index, clip in enumerate(tqdm(clips, desc="sounds of clips")):
        samples = held.get(index, "coded" if rng.random() < CODED_SHARE else "plain")
        sound = _sound(encoder, samples, config)
        if len(sound) > 2 * STRETCH[0]:
            found.append(Track(sound, clip.source, f"{clip.source}\t{clip.speaker}\t{clip.attack}"))
    return found


def _sound(encoder: EncoderNet, samples: np.ndarray, config: TrainConfig) -> np.ndarray:
    """(N,) -> (F, width) float16, what two windows hear taken from the first."""
    rows: list[np.ndarray] = []
    count, hop = 0, config.frame_hop_samples
    for part in chunks_of(samples, config):
        sound = encoder.sound(torch.from_numpy(part.samples)[None])[0].numpy()
        first = round(part.start_sample / hop)
        rows.append(sound[count - first :].astype(np.float16))
        count = first + len(sound)
    return np.concatenate(rows)[: -(-len(samples) // hop)]


def two_of(count: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Two stretches, of so many frames, that share none, the earlier one first; frames for both are there."""
    sizes = rng.integers(STRETCH[0], min(STRETCH[1], count // 2 + 1), 2)
    first = int(rng.integers(0, count - sizes.sum() + 1))
    second = int(rng.integers(first + sizes[0], count - sizes[1] + 1))
    return slice(first, first + int(sizes[0])), slice(second, second + int(sizes[1]))


def drawn(rows: Sequence[Track], rng: np.random.Generator) -> Iterator[list[Track]]:
    """Batches without end; sources weigh as the root of their clips."""
    by_source = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    names = list(by_source)
    weights = np.array([len(by_source[name]) ** 0.5 for name in names])
    while True:
        batch: list[Track] = []
        while len(batch) < BATCH:
            of_source = by_source[names[rng.choice(len(names), p=weights / weights.sum())]]
            chosen = rng.choice(len(of_source), min(TOGETHER, len(of_source)), replace=False)
            batch += [of_source[at] for at in chosen]
        yield batch[:BATCH]


def means(origin: Origin, rows: Sequence[Track], cuts: Sequence[slice]) -> Tensor:
    """(B, numbers): the embedding of a stretch of each clip."""
    sizes = [cut.stop - cut.start for cut in cuts]
    sound = np.concatenate([row.sound[cut] for row, cut in zip(rows, cuts, strict=True)])
    found = origin(torch.from_numpy(sound.astype(np.float32)))
    return torch.stack([part.mean(dim=0) for part in found.split(sizes)])


def fit(rows: Sequence[Track], seed: int, report: Callable[[float, int], object]) -> Origin:
    """The embedding, learnt from these clips; `report` is told the loss and the step now and then."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    origin = Origin(rows[0].sound.shape[1], NUMBERS)
    some = torch.from_numpy(np.concatenate([row.sound for row in rows[::5]]).astype(np.float32))
    origin.scale.measure(some, some.abs().mean(dim=0))
    optimiser = torch.optim.AdamW(origin.parameters(), LR, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, STEPS)
    batches = drawn(rows, rng)
    for step in (bar := tqdm(range(STEPS), desc="what tells recordings apart")):
        batch = next(batches)
        first, second = zip(*(two_of(len(row.sound), rng) for row in batch), strict=True)
        loss = contrast(
            means(origin, batch, first), means(origin, batch, second), [row.kind for row in batch]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 49:
            bar.set_postfix(loss=f"{loss.item():.2f}")
            report(loss.item(), step + 1)
    models.rounded(origin)
    return origin.eval()


@torch.no_grad()
def distances(origin: Origin, rows: Sequence[Track], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances of pairs of stretches, and whether they are of two origins, (n,) each."""
    rng = np.random.default_rng(seed)
    found, other = [], []
    for row in [row for row in rows for _ in range(PAIRS)]:
        elsewhere = rows[int(rng.integers(len(rows)))]
        first, second = two_of(len(row.sound), rng)
        third = two_of(len(elsewhere.sound), rng)[0]
        one, same, foreign = means(origin, [row, row, elsewhere], [first, second, third])
        found += [float(((one - mate) ** 2).sum()) for mate in (same, foreign)]
        other += [False, row.kind != elsewhere.kind]
    return np.array(found), np.array(other)


@torch.no_grad()
def evidence_of(detector: models.Detector, samples: np.ndarray, config: TrainConfig) -> np.ndarray:
    """What a span's level is asked of in a clip (N,), one a frame, as serving makes it."""

    def heard(waveform: np.ndarray) -> list[np.ndarray]:
        return [output.numpy() for output in detector(torch.from_numpy(waveform))]

    geometry = (config.window_samples, config.frame_hop_samples, SAMPLE_RATE)
    sections = Sectioner(*geometry, lambda rows: heard(rows)[0][:, 0])
    for part in chunks_of(samples, config):
        window, frame, _, origin = heard(part.samples[None])
        sections.add(part.start_sample, part.samples, window[0], frame[0], origin[0])
    meter = LevelMeter()
    meter.add(samples)
    return sections.done(len(samples), meter.activity()).evidence()


def ruled(
    detector: models.Detector, dev: Sequence[Clip], held: Pool, config: TrainConfig
) -> dict[str, float]:
    """The rule for spans, by dev's real clips as they are and as a codec leaves them."""
    real = [index for index, clip in enumerate(dev) if clip.label == "bonafide"]
    strengths = [
        evidence_of(detector, held.get(index, variant), config)
        for variant in VARIANTS
        for index in tqdm(real, desc=f"real clips of dev, {variant}")
    ]
    return span_rule(strengths, np.ones(len(strengths), bool))


def run(of: str, data: Path, name: str, seed: int) -> str:
    """One MLflow run that holds the detector with its origins; returns its id.

    Raises TrainingError where the run holds no encoder with novelty.
    """
    content = checkpoint(of)
    config = configure("encoder", content["config"] | {"origin": NUMBERS})
    detector = detector_of(content)
    encoder = models.encoder_of(detector.network)
    if encoder is None or detector.novelty is None:
        raise TrainingError(f"Run {of} tells no novelty; run training.familiar on one with an encoder first.")
    train, dev = read(data, "train"), read(data, "dev")
    params = config.as_dict() | {"run": of, "data": str(data.resolve()), "seed": seed}
    with derived(content, name, params) as (run_id, _):
        with torch.no_grad():
            rows = tracks(encoder, train, pool([train], CACHE), config, seed)
            of_dev = tracks(encoder, dev, pool([dev], CACHE), config, seed)
        detector.origin = origin = fit(rows, seed, partial(mlflow.log_metric, "loss_origin"))
        distance, other = distances(origin, of_dev, seed)
        origin.scale_to(even_distance(distance, other))
        models.rounded(origin)
        mlflow.log_metric("eer_origin", error := eer(distance, other))
        print(f"stretches of one origin or of two, dev: EER {error:.1%}")
        rule = ruled(detector, dev, pool([dev], CACHE), config)
        return keep(detector, config, content, run_id, span=rule)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, help="MLflow run id of a network with novelty")
    parser.add_argument("--data", type=Path, required=True, help="protocol with train and dev")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="apart")
    args = parser.parse_args()
    with in_a_line():
        run(args.run, args.data, args.name, args.seed)


if __name__ == "__main__":
    main()
