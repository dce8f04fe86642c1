"""Verdicts of labelled clips -> figures overall, per source and per attack, with bootstrap intervals."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from serving.verdict import FAKE, INCONCLUSIVE, NO_SPEECH, REAL
from training import metrics
from training.judging import Judged
from training.metrics import Bools, Floats, Interval

SEED = 20
DRAWS = 500  # of the bootstrap
Group = dict[str, Any]


def arrays(judged: Sequence[Judged]) -> tuple[Floats, Bools]:
    """LLRs (N,) and whether each clip is spoof (N,)."""
    llr = np.array([one.verdict.llr for one in judged], dtype=np.float64)
    return llr, np.array([one.clip.label == "spoof" for one in judged], dtype=bool)


def overall(judged: Sequence[Judged], threshold: float) -> Group:
    """Every figure over all clips. Raises ValueError where a class is missing."""
    llr, spoof = arrays(judged)
    rates = metrics.decisions(llr, spoof, threshold)
    groups = [one.clip.attack if one.clip.label == "spoof" else one.clip.source for one in judged]
    called_fake: dict[str, metrics.Metric] = {
        "real_called_fake": lambda drawn, fake: metrics.decisions(drawn, fake, threshold).false_alarm
    }
    return {
        "bonafide": int((~spoof).sum()),
        "spoof": int(spoof.sum()),
        "eer": metrics.eer(llr, spoof),
        "auc": metrics.auc(llr, spoof),
        **asdict(rates),
        "min_dcf": metrics.min_dcf(llr, spoof),
        "act_dcf": metrics.act_dcf(llr, spoof),
        "cllr": metrics.cllr(llr, spoof),
        "min_cllr": metrics.min_cllr(llr, spoof),
        **verdicts(judged),
        "interval": {name: _span(llr, spoof, metric) for name, metric in INTERVALS.items()},
        "interval_of_groups": {
            name: _span(llr, spoof, metric, groups) for name, metric in (INTERVALS | called_fake).items()
        },
    }


INTERVALS: dict[str, metrics.Metric] = {
    "eer": metrics.eer,
    "auc": metrics.auc,
    "cllr": metrics.cllr,
    "min_dcf": metrics.min_dcf,
}


def verdicts(judged: Sequence[Judged]) -> dict[str, float]:
    """What users read: real called fake, fake called real (of their class); the rest is of all clips."""
    real = [one.verdict.verdict for one in judged if one.clip.label == "bonafide"]
    fake = [one.verdict.verdict for one in judged if one.clip.label == "spoof"]
    return {
        "real_called_fake": metrics.ratio(real.count(FAKE), len(real)),
        "fake_called_real": metrics.ratio(fake.count(REAL), len(fake)),
        "inconclusive": metrics.ratio((real + fake).count(INCONCLUSIVE), len(judged)),
        "no_speech": metrics.ratio((real + fake).count(NO_SPEECH), len(judged)),
    }


def by_source(judged: Sequence[Judged], threshold: float) -> dict[str, Group]:
    """Counts and error rates of each source; EER and AUC within it where it holds both labels."""
    groups = _groups(judged, lambda one: one.clip.source)
    return {name: _source(group, threshold) for name, group in groups.items()}


def by_attack(judged: Sequence[Judged], threshold: float) -> dict[str, Group]:
    """Each generator's clips against all bona fide clips, hardest first."""
    real = [one for one in judged if one.clip.label == "bonafide"]
    spoofs = _groups([one for one in judged if one.clip.label == "spoof"], lambda one: one.clip.attack)
    rows = {name: _attack(group, real, threshold) for name, group in spoofs.items()}
    return dict(sorted(rows.items(), key=lambda row: -row[1]["eer"]))


def by_familiarity(judged: Sequence[Judged], known: Collection[str], threshold: float) -> dict[str, Group]:
    """Spoofs of the generators that training knew by name, and those of the others, each against all real."""
    real = [one for one in judged if one.clip.label == "bonafide"]
    spoofs = _groups(
        [one for one in judged if one.clip.label == "spoof"],
        lambda one: "known in training" if one.clip.attack in known else "unknown in training",
    )
    return {name: _attack(group, real, threshold) for name, group in spoofs.items()}


def within_source(sources: dict[str, Group]) -> Group:
    """Mean AUC over sources that hold both labels, and the worst of them; empty where there is none."""
    both = {name: group["auc"] for name, group in sources.items() if "auc" in group}
    if not both:
        return {}
    worst = min(both, key=lambda name: both[name])
    return {
        "sources": len(both),
        "mean_auc": float(np.mean(list(both.values()))),
        "worst": worst,
        "worst_auc": both[worst],
    }


def worst_real(sources: dict[str, Group], least: int = 5) -> Group:
    """The source whose real clips are most often called fake, of those with at least `least` real clips."""
    rates = {name: group["real_called_fake"] for name, group in sources.items() if group["bonafide"] >= least}
    if not rates:
        return {}
    worst = max(rates, key=lambda name: rates[name])
    return {"source": worst, "real_called_fake": rates[worst], "bonafide": sources[worst]["bonafide"]}


def _source(group: list[Judged], threshold: float) -> Group:
    llr, spoof = arrays(group)
    rates = metrics.decisions(llr, spoof, threshold)
    row: Group = {
        "bonafide": int((~spoof).sum()),
        "spoof": int(spoof.sum()),
        "miss": rates.miss,
        "false_alarm": rates.false_alarm,
        **verdicts(group),
    }
    if 0 < spoof.sum() < len(spoof):
        row |= {"eer": metrics.eer(llr, spoof), "auc": metrics.auc(llr, spoof)}
        row["interval"] = {"auc": _span(llr, spoof, metrics.auc)}
    return row


def _attack(group: list[Judged], real: list[Judged], threshold: float) -> Group:
    llr, spoof = arrays([*group, *real])
    return {
        "spoof": len(group),
        "sources": sorted({one.clip.source for one in group}),
        "eer": metrics.eer(llr, spoof),
        "auc": metrics.auc(llr, spoof),
        "miss": metrics.decisions(llr, spoof, threshold).miss,
        "fake_called_real": verdicts(group)["fake_called_real"],
        "interval": {"eer": _span(llr, spoof, metrics.eer), "auc": _span(llr, spoof, metrics.auc)},
    }


def _span(
    llr: Floats, spoof: Bools, metric: metrics.Metric, groups: Sequence[str] | None = None
) -> list[float]:
    found = metrics.bootstrap(llr, spoof, metric, SEED, DRAWS, groups)
    return [found.low, found.high]


def interval(group: Group, figure: str) -> Interval:
    """A figure of a group with its interval, for plots."""
    return Interval(group[figure], *group["interval"][figure])


def _groups(judged: Sequence[Judged], key: Callable[[Judged], str]) -> dict[str, list[Judged]]:
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        groups.setdefault(key(one), []).append(one)
    return dict(sorted(groups.items()))
