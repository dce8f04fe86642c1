"""Files, folders or a protocol -> one TSV row a clip. `python -m serving.score [--out scores.tsv] PATH...`

Columns: file, llr, probability, verdict, error. A clip that can't be scored gets a row with its error, the
others go on; the exit code is then 1. A model that can't be opened, or nothing to score, gives 2.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from serving import tsv
from serving.audio import LOCAL
from serving.decoder import DecoderProcess
from serving.detection import detect
from serving.detector import Detector
from serving.errors import ClipError, ModelError
from serving.models import BUNDLE, stated_sha256

HEADER = ("file", "llr", "probability", "verdict", "error")
SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"}  # of what is picked from a folder

Row = tuple[str, str, str, str, str]


def clips_under(paths: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Name as given and path of each clip: files as they are, folders searched by suffix, in order."""
    for path in paths:
        if path.is_dir():
            found = (p for p in sorted(path.rglob("*")) if p.suffix.lower() in SUFFIXES and p.is_file())
            yield from ((str(p), p) for p in found)
        else:
            yield str(path), path


def clips_of(protocol: Path) -> Iterator[tuple[str, Path]]:
    """The `file` column of a TSV and where it points from the protocol. Raises ValueError without one."""
    names = tsv.header(protocol)
    if "file" not in names:
        raise ValueError(f"{protocol} has columns {names}, expected one named 'file'.")
    for number, row in tsv.rows(protocol):
        name = row["file"]
        if not name:
            raise ValueError(f"{protocol}, line {number}: found no file, expected one a row.")
        yield name, protocol.parent / name


def score(name: str, path: Path, detector: Detector, decoder: DecoderProcess) -> Row:
    """One row; the error column holds "code: message" if the clip can't be scored."""
    try:
        with decoder.open(path, LOCAL) as clip:
            verdict = detect(clip, detector).verdict
    except ClipError as error:
        return name, "", "", "", f"{error.code}: {error.message}"
    except OSError as error:
        return name, "", "", "", f"not_readable: {error.strerror or error}"
    except ModelError as error:
        return name, "", "", "", f"model: {error}"
    return name, f"{verdict.llr:.6f}", f"{verdict.probability:.6f}", verdict.verdict, ""


@contextlib.contextmanager
def written_whole(path: Path | None) -> Iterator[TextIO]:
    """stdout, or a file that appears under its name once it is complete; names keep their bytes in both."""
    if path is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="surrogateescape")
        yield sys.stdout
        return
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent, text=True)
    try:
        with os.fdopen(handle, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            yield file
        os.chmod(temporary, 0o644)  # mkstemp gives 0600
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(prog="python -m serving.score", description="Score clips to a TSV.")
    arguments.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="clip or folder of clips")
    arguments.add_argument("--protocol", type=Path, help="TSV whose column `file` names clips beside it")
    arguments.add_argument("--model", type=Path, default=BUNDLE, help="ONNX file (default: the shipped one)")
    arguments.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1,
        help="chunks of a long clip scored at a time (default: the processor's cores)",
    )  # fmt: skip
    arguments.add_argument("--out", type=Path, help="TSV to write (default: standard output)")
    return arguments


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        clips = list(clips_under(options.paths))
        clips += clips_of(options.protocol) if options.protocol else []
        if not clips:
            raise ValueError(
                "There is nothing to score. Name clips, a folder that holds some, or --protocol."
            )
        detector = Detector.open(options.model, max(1, options.threads), stated_sha256(options.model))
    except (ModelError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    failed = 0
    decoder = DecoderProcess()
    try:
        with written_whole(options.out) as out:
            out.write(tsv.line(HEADER))
            for name, path in tqdm(clips, unit="clip", file=sys.stderr):
                row = score(name, path, detector, decoder)
                failed += bool(row[-1])
                out.write(tsv.line(row))
    finally:
        decoder.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
