"""Open Inference Protocol V2 bodies <-> float32 arrays: JSON data, and the binary tensor data extension.

With binary data a body is a JSON head, whose length a header states, and then each tensor's bytes in turn,
row by row and little-endian.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LENGTH_HEADER = "Inference-Header-Content-Length"
DATATYPE = "FP32"
MOST_DIMENSIONS = 8
MOST_JSON_BYTES = 8 * 2**20  # numbers in JSON take tens of times their bytes in memory; binary data does not

Floats = npt.NDArray[np.float32]


class BadTensor(Exception):
    """The body is not what the protocol or the model asks for; the message says found and expected."""


@dataclass(frozen=True)
class Call:
    """One inference request."""

    id: str
    inputs: dict[str, Floats]
    outputs: dict[str, bool]  # name -> as binary; empty: all outputs
    binary: bool  # where no output is named


def inflate(body: bytes, encoding: str, most_bytes: int) -> bytes:
    """A body as sent -> as meant; raises BadTensor where it would grow beyond `most_bytes`."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise BadTensor(f"The content encoding is {encoding}; expected gzip, deflate or none.")
    reader = zlib.decompressobj(wbits=31 if encoding == "gzip" else 15)
    try:
        content = reader.decompress(body, most_bytes + 1)
    except zlib.error as error:
        raise BadTensor(f"The body is not {encoding}: {error}.") from error
    if len(content) > most_bytes:
        raise BadTensor(f"The body holds more than {most_bytes} bytes.")
    if not reader.eof:
        raise BadTensor(f"The {encoding} body is cut short.")
    return content


def parse(body: bytes, stated_length: str | None) -> Call:
    """Raises BadTensor."""
    length = _head_length(stated_length, len(body))
    if length > MOST_JSON_BYTES:
        raise BadTensor(
            f"The JSON part has {length} bytes; at most {MOST_JSON_BYTES} are read. "
            "Send the samples as binary data."
        )
    try:
        head = json.loads(body[:length])
    except (ValueError, RecursionError) as error:
        raise BadTensor(f"The request is not JSON: {error}.") from error
    if not isinstance(head, dict) or not isinstance(head.get("inputs"), list):
        raise BadTensor("The request has no list of inputs.")
    rest, inputs = memoryview(body)[length:], {}
    for tensor in head["inputs"]:
        name, array, used = _read_input(tensor, rest)
        inputs[name], rest = array, rest[used:]
    if len(rest):
        raise BadTensor(f"{len(rest)} bytes follow the last input's binary data.")
    return Call(
        str(head.get("id", "")), inputs, _asked(head.get("outputs")), _flag(head, "binary_data_output")
    )


def _head_length(stated: str | None, size: int) -> int:
    if stated is None:
        return size
    if not stated.isascii() or not stated.isdigit() or int(stated) > size:
        raise BadTensor(f"{LENGTH_HEADER} is {stated!r}; expected at most the body's {size} bytes.")
    return int(stated)


def _flag(holder: Mapping[str, Any], name: str) -> bool:
    parameters = holder.get("parameters")
    return bool(parameters.get(name, False)) if isinstance(parameters, dict) else False


def _asked(outputs: Any) -> dict[str, bool]:
    if outputs is None:
        return {}
    if not isinstance(outputs, list) or not all(isinstance(out, dict) and "name" in out for out in outputs):
        raise BadTensor("outputs is no list of objects with a name.")
    return {str(out["name"]): _flag(out, "binary_data") for out in outputs}


def _read_input(tensor: Any, rest: memoryview) -> tuple[str, Floats, int]:
    """One entry of inputs -> its name, its array, and how many bytes of `rest` were its data."""
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise BadTensor("An input has no name.")
    name, shape = tensor["name"], tensor.get("shape")
    if tensor.get("datatype") != DATATYPE:
        raise BadTensor(f"Input {name} has datatype {tensor.get('datatype')}; expected {DATATYPE}.")
    if (
        not isinstance(shape, list)
        or len(shape) > MOST_DIMENSIONS
        or not all(type(n) is int and n >= 0 for n in shape)
    ):
        raise BadTensor(f"Input {name} has shape {shape}; expected a list of sizes.")
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return name, _from_json(name, shape, tensor.get("data")), 0
    if type(size) is not int or size != 4 * math.prod(shape) or size > len(rest):
        raise BadTensor(
            f"Input {name} of shape {shape} states {size} bytes, and {len(rest)} are left of the body."
        )
    return name, np.frombuffer(rest[:size], "<f4").reshape(shape).astype(np.float32), size


def _from_json(name: str, shape: list[int], data: Any) -> Floats:
    """Flat or nested lists of numbers."""
    try:
        array = np.asarray(data, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadTensor(f"Input {name} holds something other than numbers: {error}.") from error
    if data is None or array.size != math.prod(shape) or (array.ndim > 1 and list(array.shape) != shape):
        raise BadTensor(f"Input {name} has {array.size} numbers for shape {shape}.")
    return array.reshape(shape)


def render(head: dict[str, Any], outputs: Mapping[str, Floats], call: Call) -> tuple[bytes, int | None]:
    """The answer's body, and the length of its JSON head where binary data follows."""
    entries, tail = [], []
    for name, array in outputs.items():
        entry: dict[str, Any] = {"name": name, "datatype": DATATYPE, "shape": list(array.shape)}
        if call.outputs.get(name, call.binary and not call.outputs):
            content = array.astype("<f4").tobytes()
            entry["parameters"] = {"binary_data_size": len(content)}
            tail.append(content)
        else:
            entry["data"] = [float(value) for value in array.ravel()]
        entries.append(entry)
    start = json.dumps({**head, "outputs": entries}, allow_nan=False).encode()
    return b"".join([start, *tail]), len(start) if tail else None
