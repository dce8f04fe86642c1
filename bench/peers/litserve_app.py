"""The detector behind LitServe: `python litserve_app.py PORT`."""

import os
import sys
from typing import Annotated

import litserve
from common import Model
from fastapi import File


class Api(litserve.LitAPI):
    """One model a worker process."""

    def setup(self, device: str) -> None:
        self.model = Model()

    def decode_request(self, request: Annotated[bytes, File()]) -> bytes:
        return request

    def predict(self, clip: bytes) -> dict[str, object]:
        return self.model.score(clip)

    def encode_response(self, output: dict[str, object]) -> dict[str, object]:
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=int(os.environ["WORKERS"]))
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
