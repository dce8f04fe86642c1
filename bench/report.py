"""Results -> the summary on the terminal, and docs/performance.md with its tables."""

from pathlib import Path
from typing import Any

from bench import pages, plots, results
from bench.plan import ROOT
from serving.whole import write_whole

PAGE = ROOT / "docs" / "performance.md"
Results = dict[str, dict[str, Any]]


def goal_line(goal: dict[str, Any]) -> str:
    sign = "at least" if goal["at_least"] else "at most"
    mark = "reached" if goal["met"] else "MISSED"
    found = f"{goal['found']:.4g} {goal['unit']}".strip()
    return f"{mark:<8} {goal['text']}: {found} ({sign} {goal['target']:g})"


def summary(found: Results) -> str:
    """Every goal of these results, and every part that failed."""
    lines = []
    for name, result in found.items():
        lines += [f"{name}: {goal_line(goal)}" for goal in result["goals"]]
        if "error" in result:
            lines.append(f"{name}: FAILED {result['error']}")
        lines += [f"{name}: no {peer}: {why}" for peer, why in result.get("missing", {}).items()]
    return "\n".join(lines)


def write_page(folder: Path) -> None:
    """Draw the plots beside the results and write the page; further models and machines lie in folders below,
    of which it shows the goals alone.
    """
    found = results.read(folder)
    drawn = plots.draw(found, folder)
    others = {path.name: results.read(path) for path in sorted(folder.iterdir()) if path.is_dir()}
    PAGE.parent.mkdir(exist_ok=True)
    write_whole(PAGE, pages.page(found, others, drawn).encode())
