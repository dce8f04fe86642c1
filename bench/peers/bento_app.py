"""The detector behind BentoML: `bentoml serve bento_app:Detect`."""

import os
from pathlib import Path
from typing import Annotated, Any

import bentoml
from bentoml.validators import ContentType
from common import Model

WORKERS = int(os.environ.get("WORKERS", "2"))


@bentoml.service(workers=WORKERS, traffic={"timeout": 60})
class Detect:
    """Takes the clip as the body, which BentoML hands over as a file."""

    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(route="/detect")
    def detect(self, clip: Annotated[Path, ContentType("audio/*")], /) -> dict[str, Any]:
        return self.model.score(clip.read_bytes())
