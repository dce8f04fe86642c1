"""Dev logits -> calibration, threshold and inconclusive zone: the numbers that turn a ranking into a
verdict.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from training.datasets import Clip

# Share of labels that may be wrong: keeps the scale finite where the clips are separated without an error.
LABEL_NOISE = 0.002
SHIFTS = 7  # points that stand for a Gaussian error


@dataclass(frozen=True)
class Affine:
    """LLR = scale * logit + offset"""

    scale: float
    offset: float

    def __call__(self, logit: np.ndarray) -> np.ndarray:
        return self.scale * logit + self.offset


def source_weights(clips: list[Clip]) -> np.ndarray:
    """(N,) weights with which each label counts 1/2 in all, and inside it each source as the root of its
    clips.
    """
    weights = np.zeros(len(clips))
    for label in ("bonafide", "spoof"):
        rows = [i for i, c in enumerate(clips) if c.label == label]
        keys = [clips[i].source if label == "bonafide" else clips[i].attack for i in rows]
        names, counts = np.unique(keys, return_counts=True)
        per_key = dict(zip(names, counts, strict=True))
        raw = np.array([per_key[key] ** -0.5 for key in keys])
        weights[rows] = raw / raw.sum() / 2
    return weights


def source_shift(logit: np.ndarray, clips: list[Clip]) -> float:
    """Standard deviation, from source to source, of the mean logit of real clips; (N,), one a clip.

    By about as much a recording from elsewhere is off before anything is said of its label.
    """
    real = np.array([c.label == "bonafide" for c in clips])
    source = np.array([c.source for c in clips])
    means = [logit[real & (source == name)].mean() for name in np.unique(source[real])]
    return float(np.std(means, ddof=1)) if len(means) > 1 else 0.0


def fit(logit: np.ndarray, spoof: np.ndarray, weight: np.ndarray, shift: float = 0.0) -> Affine:
    """Platt's logistic regression (Platt 1999) at even prior odds, so that the log-odds are the LLR; (N,)
    each. Every logit counts as if moved by a Gaussian error of deviation `shift`: LLRs stay honest on sources
    that are off by it.

    The scale is searched as its logarithm: a calibration never turns the ranking round.
    """
    target = np.where(spoof, 1 - LABEL_NOISE, LABEL_NOISE)
    centre, spread = float(np.average(logit, weights=weight)), float(logit.std()) + 1e-9
    steps, shares = np.polynomial.hermite_e.hermegauss(SHIFTS)
    unit = (logit + shift * steps[:, None] - centre) / spread  # (SHIFTS, N)
    weight = weight * shares[:, None] / shares.sum()

    def cost(x: np.ndarray) -> float:
        llr = np.exp(x[0]) * unit + x[1]
        return float(np.sum(weight * (target * np.logaddexp(0, -llr) + (1 - target) * np.logaddexp(0, llr))))

    best = minimize(cost, np.zeros(2), method="Nelder-Mead").x
    scale = float(np.exp(best[0])) / spread
    return Affine(scale, float(best[1]) - scale * centre)


def threshold_for_false_alarms(llr: np.ndarray, spoof: np.ndarray, rate: float) -> float:
    """The LLR that at most `rate` of the bona fide clips reach; never below 0, where spoof becomes the
    likelier.
    """
    return max(0.0, float(np.quantile(llr[~spoof], 1 - rate)))


def threshold_for_misses(llr: np.ndarray, spoof: np.ndarray, rate: float) -> float:
    """The LLR that at most `rate` of the spoofed clips fall below; never above 0."""
    return min(0.0, float(np.quantile(llr[spoof], rate)))
