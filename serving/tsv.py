"""A protocol file -> its header and rows, and rows -> lines of one: fields parted by tabs, a quote is an
ordinary character, and a byte order mark, as spreadsheets write it, is none of the first name's.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path


def header(path: Path) -> list[str]:
    """The names in the first line, none in an empty file. Raises OSError, UnicodeDecodeError."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), [])


def rows(path: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Number of the line and its fields by name, None where the line ends before. Raises as `header`."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        for row in reader:
            yield reader.line_num, row


def line(fields: Iterable[str]) -> str:
    """Fields -> a line that `rows` reads back; what would part or end it becomes a space."""
    return "\t".join(re.sub(r"[\t\r\n]", " ", field) for field in fields) + "\n"
