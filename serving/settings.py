"""Environment variables -> Settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serving.audio import Limits
from serving.models import BUNDLE, CHALLENGER, MLRUNS

REGISTRY_PYTHON = MLRUNS.parent / ".venv" / "bin" / "python"


@dataclass(frozen=True)
class Settings:
    """What an operator may choose; the variable's name follows each."""

    model: Path = BUNDLE  # BONAFIDE_MODEL
    limits: Limits = field(default_factory=Limits)  # BONAFIDE_MAX_MB, BONAFIDE_MAX_S
    threads: int = 1  # chunks of a clip scored at a time: BONAFIDE_THREADS
    # Clips scored at a time, each by a thread and a decoder of its own: WEB_CONCURRENCY, which platforms set.
    scorers: int = 2
    challenger: Path = CHALLENGER  # BONAFIDE_CHALLENGER
    models: Path | None = None  # folder of further versions for /v2: BONAFIDE_MODELS
    mlruns: Path = MLRUNS  # what the models page shows of the registry: BONAFIDE_MLRUNS
    admin_token: str = field(default="", repr=False)  # for changes: BONAFIDE_ADMIN_TOKEN
    registry_python: Path = REGISTRY_PYTHON  # with MLflow and torch: BONAFIDE_REGISTRY_PYTHON
    shadow_share: float = 0.0  # of live clips that the challenger scores too: BONAFIDE_SHADOW_SHARE
    request_threads: int = 48  # requests handled at a time: BONAFIDE_REQUEST_THREADS
    queue: int = 32  # clips that may wait for a scoring thread: BONAFIDE_QUEUE
    wait_s: float = 10.0  # the longest they wait: BONAFIDE_WAIT_S

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Raises ValueError, with the variable's name, for one that is no number."""
        standard, limits = cls(), Limits()
        return cls(
            model=Path(environment.get("BONAFIDE_MODEL") or standard.model),
            challenger=Path(environment.get("BONAFIDE_CHALLENGER") or standard.challenger),
            models=Path(environment["BONAFIDE_MODELS"]) if environment.get("BONAFIDE_MODELS") else None,
            mlruns=Path(environment.get("BONAFIDE_MLRUNS") or standard.mlruns),
            admin_token=environment.get("BONAFIDE_ADMIN_TOKEN", "").strip(),
            registry_python=Path(environment.get("BONAFIDE_REGISTRY_PYTHON") or standard.registry_python),
            shadow_share=min(_number(environment, "BONAFIDE_SHADOW_SHARE", standard.shadow_share), 1.0),
            limits=Limits(
                max_bytes=int(_number(environment, "BONAFIDE_MAX_MB", limits.max_bytes / 2**20) * 2**20),
                max_s=_number(environment, "BONAFIDE_MAX_S", limits.max_s),
            ),
            threads=int(_number(environment, "BONAFIDE_THREADS", standard.threads)),
            scorers=max(1, int(_number(environment, "WEB_CONCURRENCY", standard.scorers))),
            request_threads=max(
                1, int(_number(environment, "BONAFIDE_REQUEST_THREADS", standard.request_threads))
            ),
            queue=int(_number(environment, "BONAFIDE_QUEUE", standard.queue)),
            wait_s=_number(environment, "BONAFIDE_WAIT_S", standard.wait_s),
        )


def _number(environment: Mapping[str, str], name: str, standard: float) -> float:
    text = environment.get(name, "")
    try:
        number = float(text) if text else standard
    except ValueError:
        number = -1.0
    if not number >= 0:
        raise ValueError(f"{name} is {text!r}, expected a number of 0 or more. Correct or unset it.")
    return number
