"""What a training runs on: an accelerator where there is one, or the processor."""

import os
import time
from dataclasses import dataclass
from functools import cache

import torch

from training.config import TrainingError

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Machine:
    """What trains: the device that computes, and how many processes make batches for it."""

    device: torch.device
    processes: int = 1

    @classmethod
    def here(cls, device: str = "") -> "Machine":
        """The device named, by default an accelerator that PyTorch finds or else the processor; half of the
        cores make batches. Raises TrainingError where there is no such device.
        """
        name = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            torch.zeros(1, device=name)
        except (RuntimeError, AssertionError) as error:  # builds without CUDA assert
            reason = str(error).splitlines()[0]
            raise TrainingError(
                f"Device is {name!r} ({reason}); expected cpu, or cuda where there is one."
            ) from None
        return cls(torch.device(name), max(1, (os.cpu_count() or 2) // 2))


PROCESSOR = Machine(CPU)


@cache
def bfloat16_pays(device: torch.device) -> bool:
    """Whether products in bfloat16 are the quicker ones: processors without instructions for them take
    several times as long.
    """
    return device.type != "cpu" or _took(torch.bfloat16) < _took(torch.float32)


def _took(kind: torch.dtype, size: int = 512, turns: int = 5) -> float:
    """Seconds for a product, the least of some turns."""
    values, times = torch.ones(size, size, dtype=kind), []
    for _ in range(turns):
        begun = time.perf_counter()
        values @ values
        times.append(time.perf_counter() - begun)
    return min(times)
