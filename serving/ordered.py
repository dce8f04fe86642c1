"""Calls of the graph, some at a time -> chunks with their outputs, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from serving.chunking import Chunk

Outputs = TypeVar("Outputs")


def in_order(
    run: Callable[[list[Chunk]], list[Outputs]], work: Iterable[list[Chunk]], threads: int
) -> Iterator[tuple[Chunk, Outputs]]:
    """Each chunk with its outputs, in order, at most `threads` + 1 calls' chunks at a time."""
    if threads <= 1:
        for call in work:
            yield from zip(call, run(call), strict=True)
        return
    with ThreadPoolExecutor(threads) as workers:
        begun: deque[tuple[list[Chunk], Future[list[Outputs]]]] = deque()
        for call in work:
            begun.append((call, workers.submit(run, call)))
            if len(begun) > threads:
                first, outputs = begun.popleft()
                yield from zip(first, outputs.result(), strict=True)
        for call, outputs in begun:
            yield from zip(call, outputs.result(), strict=True)
