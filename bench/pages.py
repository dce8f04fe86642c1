"""Results -> the text of docs/performance.md: goals first, then one section a part."""

from typing import Any

from bench import texts
from bench.sections import PLOTS, SECTIONS, table

Results = dict[str, dict[str, Any]]


def page(found: Results, others: dict[str, Results], plots: list[str]) -> str:
    """The whole page; `others` are results of further models, by the name of their folder."""
    parts = [texts.INTRO, _setting(found), "## Goals\n", _goals(found, others)]
    for name, (title, section) in SECTIONS.items():
        result = found.get(name)
        parts.append(f"## {title}\n")
        if result is None or "error" in result:
            parts.append(f"Not measured: {result['error'] if result else 'this part was not run'}\n")
            continue
        parts.append(section(result))
        parts += [
            f"![{title}](../bench/results/{plot}.png)\n" for plot in PLOTS.get(name, ()) if plot in plots
        ]
    return "\n".join(parts)


def _setting(found: Results) -> str:
    first = next(iter(found.values()))
    machine, model = first["machine"], first["model"]
    day = max(result["date"] for result in found.values())[:10]
    load = max(result["load_average"] for result in found.values())
    busy = texts.BUSY.format(load=load) if load > 2 * machine["cores"] else ""
    seconds = sum(result["took_s"] for result in found.values())
    return (
        f"Machine: {machine['cores']} cores of {machine['cpu']} ({', '.join(machine['instructions'])}), "
        f"Python {machine['python']}, onnxruntime {machine['onnxruntime']}. Model: {model['name']}, "
        f"{model['size_mb']} MB, sha256 {model['sha256'][:16]}. Measured {day}, in {seconds:.0f} s.\n{busy}"
    )


def _goals(found: Results, others: dict[str, Results]) -> str:
    """Goal by goal, the shipped model and, beside it, further ones."""
    beside = {
        name: {g["text"]: g for r in results.values() for g in r["goals"]} for name, results in others.items()
    }
    rows = []
    for result in found.values():
        for goal in result["goals"]:
            target = f"{'≥' if goal['at_least'] else '≤'} {goal['target']:g} {goal['unit']}"
            rows.append(
                [
                    goal["text"],
                    target,
                    _verdict(goal),
                    *(_verdict(b.get(goal["text"])) for b in beside.values()),
                ]
            )
    text = table(["goal", "target", "shipped model", *(f"`{name}`" for name in beside)], rows)
    return text + texts.BESIDE if beside else text


def _verdict(goal: dict[str, Any] | None) -> str:
    if goal is None:
        return "not measured"
    return f"{goal['found']:.4g}" if goal["met"] else f"**{goal['found']:.4g}, missed**"
