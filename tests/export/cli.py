"""The registry's command line with tiny networks in place of training's: a process of its own for tests."""

from __future__ import annotations

import sys

from export import registry, to_onnx
from tests.export import tiny

if __name__ == "__main__":
    to_onnx.models.build = tiny.build
    sys.exit(registry.main())
