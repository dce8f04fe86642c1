"""Weights in integers whose products with what they meet can be added in 16 bits.

onnxruntime multiplies unsigned values by signed weights. Where a processor lacks VNNI it adds two products of
neighbours in 16 bits and cuts off what is larger, or has to be asked for wider sums, which take longer
(`serving/session.py`). Where no two neighbours come so far, short sums are exact. What that and rounding take
from a product, the weights that are rounded later give back as far as sound lets them (GPTQ, Frantar et al.
2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from scipy import linalg

from export.graph import passed

LARGEST = 127
PAIR = 128  # of two neighbours of one sign: 255 times as much is below 2**15
WIDENED = (0.0, 0.5, 1.0)  # scales to try, from that of the largest weight to that of the largest pair
ALONE = 0.01  # of the mean power of inputs, as if each had moved by so much while the others stood still
BLOCK = 64  # rows that are rounded before what they owe is asked of all that follow


@dataclass(frozen=True)
class Product:
    """A node whose weights are integers, and the names of what is stored of them."""

    node: onnx.NodeProto
    values: str
    scales: str

    def rows(self, values: np.ndarray) -> np.ndarray:
        """As stored -> (K, N), in the order in which inputs meet them; of a convolution, tap by tap."""
        if values.ndim == 3:
            return values.transpose(2, 1, 0).reshape(-1, len(values))
        return values.T if self.node.op_type == "Gemm" else values

    @property
    def meets(self) -> tuple[str, int]:
        """What comes in, and how many steps of it at a time: some products hear the same."""
        return self.node.input[0], self._attributes.get("kernel_shape", [1])[0]

    @property
    def _attributes(self) -> dict[str, Any]:
        return {one.name: helper.get_attribute_value(one) for one in self.node.attribute}

    def met(self, inputs: np.ndarray) -> np.ndarray:
        """What comes into the node -> (M, K), as rows meet it."""
        if self.node.op_type != "Conv":
            return inputs.reshape(-1, inputs.shape[-1])
        pads, (step,) = self._attributes["pads"], self._attributes["strides"]
        padded = np.pad(inputs, ((0, 0), (0, 0), tuple(pads)))
        taps = np.lib.stride_tricks.sliding_window_view(padded, self.meets[1], axis=2)[:, :, ::step]
        return taps.transpose(0, 2, 3, 1).reshape(-1, taps.shape[3] * taps.shape[1])

    def stored(self, rows: np.ndarray, like: np.ndarray) -> np.ndarray:
        """(K, N) -> in the shape of `like`, which is stored now."""
        if like.ndim == 3:
            rows = rows.reshape(like.shape[2], like.shape[1], -1).transpose(2, 1, 0)
        elif self.node.op_type == "Gemm":
            rows = rows.T
        return np.ascontiguousarray(rows)


def products(graph: onnx.ModelProto) -> Iterator[Product]:
    """Of a graph that holds them as standard operators: integers made floats before each product."""
    makers = {name: node for node in graph.graph.node for name in node.output}
    integers = {e.name for e in graph.graph.initializer if e.data_type == onnx.TensorProto.INT8}
    for node in graph.graph.node:
        maker = makers.get(node.input[1]) if node.op_type in ("Conv", "Gemm", "MatMul") else None
        if maker is not None and maker.op_type == "DequantizeLinear" and maker.input[0] in integers:
            yield Product(node, maker.input[0], maker.input[1])


def are_short(graph: onnx.ModelProto) -> bool:
    """Whether 16 bits hold the sum of any two neighbouring products."""
    stored = {entry.name: entry for entry in graph.graph.initializer}
    found = ((one, numpy_helper.to_array(stored[one.values])) for one in products(graph))
    return all((_together(one.rows(values).astype(int)) <= PAIR).all() for one, values in found)


def shorten(
    graph: onnx.ModelProto, clips: Sequence[np.ndarray], floats: Mapping[str, np.ndarray] | None = None
) -> None:
    """Round all weights anew so that sums are short, in place, by what meets them of clips (N,); `floats`
    holds what they were rounded from, by the names of the integers, where that is known.
    """
    stored = {entry.name: entry for entry in graph.graph.initializer}
    found = list(products(graph))
    owed = {meets: _owed(power) for meets, power in _powers(graph, found, clips).items()}
    for product in found:
        values, scales = (numpy_helper.to_array(stored[name]) for name in (product.values, product.scales))
        known = (floats or {}).get(product.values)
        rows = product.rows(values) * scales if known is None else product.rows(known)
        owes = owed.get(product.meets)
        rounded, scales = _rounded(rows.astype(np.float64), scales.astype(np.float64), owes)
        _store(stored[product.values], product.stored(rounded, values))
        _store(stored[product.scales], scales.astype(np.float32))
    _biases(graph, found, stored)


def _powers(
    graph: onnx.ModelProto, found: Sequence[Product], clips: Sequence[np.ndarray]
) -> dict[tuple[str, int], np.ndarray]:
    """What products meet -> (K, K), inputs times each other, and some more of each alone: the fewer were
    heard, the less is known of how they go together, and of fewer than there are inputs nothing.
    """
    one_of = {product.meets: product for product in found}
    powers: dict[tuple[str, int], np.ndarray] = {}
    for heard in passed(graph, [name for name, _ in one_of], (clip[None] for clip in clips)):
        for (meets, product), inputs in zip(one_of.items(), heard, strict=True):
            met = product.met(inputs.astype(np.float64))
            count, width = len(met) * len(clips), met.shape[1]
            if count >= width:
                alone = max(ALONE, width / count) * (met**2).sum() / width
                powers[meets] = powers.get(meets, 0) + met.T @ met + alone * np.eye(width)
    return {meets: power for meets, power in powers.items() if power.any()}


def _owed(power: np.ndarray) -> np.ndarray:
    """(K, K), upper: row by row what the inputs after one have to give for what it lacks, and what that costs
    on its diagonal.
    """
    factor: np.ndarray = linalg.cholesky(linalg.cho_solve(linalg.cho_factor(power), np.eye(len(power))))
    return factor


def _together(rows: np.ndarray) -> np.ndarray:
    """(K, N) -> (K / 2, N): how far two neighbours come, of one sign or by themselves."""
    first, second = rows[0::2], rows[1::2]
    second = np.pad(second, ((0, len(first) - len(second)), (0, 0)))
    largest: np.ndarray = np.max((np.abs(first), np.abs(second), np.abs(first + second)), axis=0)
    return largest


def _rounded(rows: np.ndarray, scales: np.ndarray, owed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(K, N) floats and (N,) scales -> integers and scales, of those tried the one by which least is lost: a
    larger scale is coarser, a smaller one takes something from the largest pairs.
    """
    most = np.maximum(_together(rows).max(axis=0) / (scales * LARGEST), 1.0)
    found, kept, least = np.zeros(rows.shape, np.int8), scales.copy(), np.full(len(scales), np.inf)
    for share in WIDENED:
        at = np.flatnonzero((most > 1) | np.isinf(least))
        tried = scales[at] * (1 + share * (most[at] - 1))
        units = rows[:, at] / tried
        integers, lost = _alone(units) if owed is None else _fitted(units, owed)
        better = lost * tried**2 < least[at]
        at, tried = at[better], tried[better]
        found[:, at], kept[at], least[at] = integers[:, better], tried, lost[better] * tried**2
    return found, kept


def _alone(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `_fitted`, each pair by itself."""
    pairs = np.pad(rows, ((0, len(rows) % 2), (0, 0))).reshape(-1, 2, rows.shape[1]).transpose(1, 0, 2)
    whole = _whole(pairs)
    found = np.stack([whole, _beside(pairs[1], whole)], axis=1).reshape(-1, rows.shape[1])[: len(rows)]
    return found, ((rows - found) ** 2).sum(axis=0)


def _fitted(rows: np.ndarray, owed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(K, N) in units of their scales -> whole numbers whose pairs come not too far, and the power that is
    lost (N,).
    """
    rows, found = rows.copy(), np.zeros(rows.shape)
    lost = np.zeros(rows.shape[1])
    for start in range(0, len(rows), BLOCK):
        end = min(start + BLOCK, len(rows))
        lacking = np.zeros((end - start, rows.shape[1]))
        for at in range(start, end):
            found[at] = _whole(rows[at : at + 2]) if at % 2 == 0 else _beside(rows[at], found[at - 1])
            lacking[at - start] = (rows[at] - found[at]) / owed[at, at]
            rows[at + 1 : end] -= owed[at, at + 1 : end, None] * lacking[at - start]
        rows[end:] -= owed[start:end, end:].T @ lacking
        lost += (lacking**2).sum(axis=0)
    return found, lost


def _whole(pair: np.ndarray) -> np.ndarray:
    """(2, ..., N), or a last row alone -> whole numbers for the first, which bears half of the excess."""
    both = pair.sum(axis=0)
    excess = np.sign(both) * np.maximum(np.abs(both) - PAIR, 0) / 2
    whole: np.ndarray = np.rint(pair[0] - excess).clip(-LARGEST, LARGEST)
    return whole


def _beside(row: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(..., N) -> whole numbers that come not too far with those of the neighbours."""
    lowest = np.maximum(-PAIR - np.minimum(other, 0), -LARGEST)
    highest = np.minimum(PAIR - np.maximum(other, 0), LARGEST)
    return np.rint(row).clip(lowest, highest)


def _biases(graph: onnx.ModelProto, found: Sequence[Product], stored: Mapping[str, onnx.TensorProto]) -> None:
    """Biases in integers: their scales are those of values times those of weights, as these are now."""
    makers = {name: node for node in graph.graph.node for name in node.output}
    for product in found:
        bias = makers.get(product.node.input[2]) if len(product.node.input) > 2 else None
        if bias is None or bias.op_type != "DequantizeLinear":
            continue
        names = *bias.input[:2], makers[product.node.input[0]].input[1], product.scales
        values, scales, incoming, weights = (numpy_helper.to_array(stored[name]) for name in names)
        now = incoming * weights
        _store(stored[bias.input[0]], np.rint(values * scales.astype(np.float64) / now).astype(np.int32))
        _store(stored[bias.input[1]], now)


def _store(entry: onnx.TensorProto, values: np.ndarray) -> None:
    entry.CopyFrom(numpy_helper.from_array(values, entry.name))
