"""A report of training.evaluate -> Markdown tables that stand in a README or model card as they are."""

from collections.abc import Mapping, Sequence
from typing import Any

HEADLINE = (
    ("EER", "eer", "%"),
    ("AUC", "auc", "3"),
    ("accuracy", "accuracy", "%"),
    ("precision", "precision", "%"),
    ("recall", "recall", "%"),
    ("F1", "f1", "%"),
    ("minDCF", "min_dcf", "3"),
    ("actDCF", "act_dcf", "3"),
    ("Cllr, bit", "cllr", "3"),
    ("at best Cllr, bit", "min_cllr", "3"),
    ("real called fake", "real_called_fake", "%"),
    ("fake called real", "fake_called_real", "%"),
    ("inconclusive", "inconclusive", "%"),
)


def markdown(report: Mapping[str, Any]) -> str:
    """Overall, per source and per attack; spoof is the positive class of precision, recall and F1."""
    model, total = report["model"], report["overall"]
    smoke = " **smoke model: its figures mean nothing**" if model["smoke"] else ""
    parts = [
        f"{model['name']} {model['version']} ({model['sha256'][:12]}) on {report['data']}, {report['date']}: "
        f"{total['bonafide']} real, {total['spoof']} fake, {len(report['not_scored'])} not scored.{smoke}",
        table(
            ("figure", "value", "95 % interval over clips", "over sources and generators"),
            [_headline(total, *row) for row in HEADLINE],
        ),
        _sources(report),
        _attacks(report["familiarity"], "generators") if "familiarity" in report else "",
        _attacks(report["attacks"], "attack"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; a bar in a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def shown(value: float, kind: str) -> str:
    """0.1234 -> "12.3 %" or "0.123"; nan -> a dash."""
    if value != value:
        return "–"
    return f"{100 * value:.1f} %" if kind == "%" else f"{value:.3f}"


def _headline(total: Mapping[str, Any], title: str, name: str, kind: str) -> tuple[str, ...]:
    spans = [total[key].get(name) for key in ("interval", "interval_of_groups")]
    told = [f"{shown(span[0], kind)} to {shown(span[1], kind)}" if span else "" for span in spans]
    return title, shown(total[name], kind), *told


def _sources(report: Mapping[str, Any]) -> str:
    rows = []
    for name, row in report["sources"].items():
        auc = _within(row) if "auc" in row else shown(float("nan"), "3")
        rates = [shown(row[key], "%") for key in ("real_called_fake", "fake_called_real")]
        rows.append((name, str(row["bonafide"]), str(row["spoof"]), auc, *rates))
    lines = [table(("source", "real", "fake", "AUC within", "real called fake", "fake called real"), rows)]
    within, worst = report["within_source"], report["worst_real_source"]
    if within:
        lines.append(
            f"Mean AUC within the {within['sources']} sources with both labels: {within['mean_auc']:.3f}; "
            f"worst {within['worst']} ({within['worst_auc']:.3f})."
        )
    if worst:
        lines.append(
            f"Real clips called fake most often: {worst['source']}, {shown(worst['real_called_fake'], '%')} "
            f"of {worst['bonafide']}."
        )
    return "\n\n".join(lines)


def _within(row: Mapping[str, Any]) -> str:
    low, high = row["interval"]["auc"]
    return f"{row['auc']:.3f} ({low:.2f} to {high:.2f})"


def _attacks(attacks: Mapping[str, Any], title: str) -> str:
    rows = []
    for name, row in attacks.items():
        low, high = row["interval"]["eer"]
        eer = f"{shown(row['eer'], '%')} ({100 * low:.0f} to {100 * high:.0f})"
        rows.append((name, str(row["spoof"]), eer, f"{row['auc']:.3f}", shown(row["fake_called_real"], "%")))
    return table((title, "fake", "EER against all real", "AUC", "called real"), rows)
