"""What a command can't do -> one line that says what was found and what to do."""

import contextlib
import sys
from collections.abc import Iterator

from training.config import TrainingError
from training.datasets import DataError


@contextlib.contextmanager
def in_a_line() -> Iterator[None]:
    """Ends the command with the message of data or a training that can't be had as asked."""
    try:
        yield
    except (DataError, TrainingError) as error:
        sys.exit(str(error))
