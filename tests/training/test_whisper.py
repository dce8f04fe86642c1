"""The reader of CTranslate2's file, on a file made here."""

import io
import struct

import numpy as np
import pytest

from training.whisper import read_variables


def written(version: int, variables: dict[str, np.ndarray]) -> io.BytesIO:
    def string(text: str) -> bytes:
        data = text.encode() + b"\0"
        return struct.pack("<H", len(data)) + data

    kinds = {np.dtype(np.float32): 0, np.dtype(np.float16): 4}
    parts = [struct.pack("<I", version), string("WhisperSpec"), struct.pack("<II", 3, len(variables))]
    for name, array in variables.items():
        parts += [string(name), struct.pack("<B", array.ndim), struct.pack(f"<{array.ndim}I", *array.shape)]
        parts += [struct.pack("<BI", kinds[array.dtype], array.nbytes), array.tobytes()]
    return io.BytesIO(b"".join(parts))


def test_variables_come_back_by_name_shape_and_type() -> None:
    variables = {
        "encoder/conv1/weight": np.arange(24, dtype=np.float16).reshape(2, 4, 3),
        "encoder/bias": np.array([0.5, -1.0], np.float32),
    }
    found = read_variables(written(6, variables))
    assert list(found) == list(variables)
    for name, array in variables.items():
        assert found[name].dtype == array.dtype and np.array_equal(found[name], array)


def test_an_unknown_version_is_refused_with_what_is_expected() -> None:
    with pytest.raises(ValueError, match="version is 9; expected 2 to 6"):
        read_variables(written(9, {}))
