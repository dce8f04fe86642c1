"""The result of one part -> its section of the performance page."""

from collections.abc import Callable, Iterable
from typing import Any

from bench import texts

Row = Iterable[object]


def table(head: Row, rows: Iterable[Row]) -> str:
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in (head, *rows)]
    lines.insert(1, "|" + "---|" * lines[0].count(" | ") + "---|")
    return "\n".join(lines) + "\n"


def shown(spread: dict[str, Any]) -> str:
    """A spread as median (low to high)."""
    return f"{spread['median']:.3g} ({spread['low']:.3g} to {spread['high']:.3g})"


def _endtoend(result: dict[str, Any]) -> str:
    rows = [
        [
            name,
            container.upper(),
            shown(f["cpu_ms"]),
            shown(f["wall_ms"]),
            shown(f["times_ours"]),
            result["pss_mb"][name],
        ]
        for container, servers in result["formats"].items()
        for name, f in servers.items()
    ]
    text = table(["server", "10 s clip", "CPU ms", "wall ms", "CPU over ours", "PSS MB"], rows)
    text += "".join(f"\n{name} did not start: {why}\n" for name, why in result["missing"].items())
    return text + texts.PEERS


def _load(result: dict[str, Any]) -> str:
    levels = list(next(iter(result["connections"].values())))
    rows = [
        [name, *curve.values(), shown(result["at_most"][name]), result["pss_mb"][name]]
        for name, curve in result["connections"].items()
    ]
    part, over = result["part_load"], result["overload"]
    text = table(["clips a second at connections", *levels, "most, in turns", "PSS MB"], rows)
    return text + texts.LOAD.format(
        part=part,
        over=over,
        part_ms=_ms(part["latency_ms"]),
        alone_ms=_ms(part["alone_ms"]),
        over_ms=_ms(over["accepted_ms"]),
        refused_ms=_ms(over["refused_ms"]),
    )


def _ms(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g} ms" for name, value in found.items()) or "no value"


def _stages(result: dict[str, Any]) -> str:
    formats = result["cpu_ms"]
    rows = [[stage, *(formats[name][stage] for name in formats)] for stage in next(iter(formats.values()))]
    return table(["CPU ms of a 10 s clip", *formats], rows) + texts.STAGES


def _longaudio(result: dict[str, Any]) -> str:
    runs = [
        ("wav, 2 threads", result["two_threads"]),
        ("wav, 1 thread", result["one_thread"]),
        ("flac, 2 threads", result["flac"]),
    ]
    rows = [
        [
            f"{name}, {seconds} s",
            f"{f['seconds']:.1f}",
            f"{f['audio_s'] / f['seconds']:.0f}x",
            f"{f['cpu_s']:.1f}",
            f["peak_rss_mb"],
            f["windows"],
            f["map_cells"],
        ]
        for name, some in runs
        for seconds, f in some.items()
    ]
    text = table(["recording", "s", "real time", "CPU s", "peak MB", "windows", "map cells"], rows)
    rows = [[f"{seconds} s", found["p50"], found["p99"]] for seconds, found in result["http_ms"].items()]
    return text + "\n" + table(["FLAC over HTTP", "median ms", "slowest ms"], rows)


def _coldstart(result: dict[str, Any]) -> str:
    names = {
        "ours": "this service",
        "empty": "empty Flask and gunicorn",
        "session": "import onnxruntime, open the session",
    }
    rows = [[names[key], shown(value)] for key, value in result["seconds"].items()]
    return table(["one process", "s to ready"], rows)


def _roofline(result: dict[str, Any]) -> str:
    text = texts.ROOFLINE.format(measured=shown(result["measured_ms"]), **result)
    return text + table(["operator, by onnxruntime's profiler", "ms"], result["by_operator_ms"].items())


def _features(result: dict[str, Any]) -> str:
    rows = [[name, shown(value), result["difference"].get(name, "")] for name, value in result["ms"].items()]
    text = table(["power spectrum of 10 s", "ms", "difference from numpy's"], rows)
    return text + "".join(f"\n{name} is not available: {why}\n" for name, why in result["failed"].items())


def _options(result: dict[str, Any]) -> str:
    rows = [[name, shown(value), result["llr_difference"][name]] for name, value in result["ms"].items()]
    by = result["windows_a_call_ms_per_window"]
    text = table(["10 s in one call", "ms", "LLR difference"], rows)
    return text + "\n" + table(["windows a call", *by], [["ms a window", *by.values()]])


def _int8(result: dict[str, Any]) -> str:
    rows = [[name, shown(value), f"{result['size_mb'][name]:.1f}"] for name, value in result["ms"].items()]
    text = table(["10 s clip", "ms", "MB"], rows)
    text += texts.INT8.format(ratio=shown(result["float_over_int8"]), **result)
    return text + texts.INT8_ACCURACY.format(**result["accuracy"]) if "accuracy" in result else text


def _training(result: dict[str, Any]) -> str:
    rows = [
        [name, shown(v), shown(result["waiting_share"][name])]
        for name, v in result["epochs_per_hour"].items()
    ]
    return table([result["architecture"], "epochs an hour", "share waiting for data"], rows)


def _slug(result: dict[str, Any]) -> str:
    return table(["gzipped", "MB"], result["gzipped_mb"].items())


SECTIONS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "endtoend": ("From bytes to JSON", _endtoend),
    "load": ("Under load", _load),
    "stages": ("Where the time goes", _stages),
    "longaudio": ("Long recordings", _longaudio),
    "coldstart": ("Cold start", _coldstart),
    "roofline": ("The network against the machine", _roofline),
    "features": ("The spectrum in the graph", _features),
    "options": ("Settings of onnxruntime", _options),
    "int8": ("Int8", _int8),
    "training": ("Training", _training),
    "slug": ("Size of a deployment", _slug),
}
PLOTS = {
    "endtoend": ("cpu",),
    "load": ("throughput",),
    "stages": ("stages",),
    "longaudio": ("latency", "memory"),
}
