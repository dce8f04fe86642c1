"""Promotes version 2 over version 1 in a real registry and kills itself before the n-th move of an alias.

killed_promotion.py BUNDLE MLRUNS N
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from export import bundle
from export.bundle import Store
from export.promotion import Desk, promote
from export.versions import Registry

if __name__ == "__main__":
    folder, store, left = Path(sys.argv[1]), Store(Path(sys.argv[2]) / "bundles"), int(sys.argv[3])
    point = Registry.point

    def dying_point(*arguments: Any) -> None:
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        point(*arguments)

    Registry.point = dying_point  # type: ignore[method-assign]
    desk = Desk(folder, store, Registry(store))
    promote(desk, desk.registry.version("2"), [], bundle.digest_of(folder))
