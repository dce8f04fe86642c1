"""Bodies that stop coming."""

import pytest
from flask.testing import FlaskClient


class Stalled:
    """A connection and its body: nothing comes after the first bytes."""

    timeout: float | None = None

    def settimeout(self, seconds: float | None) -> None:
        self.timeout = seconds

    def read(self, size: int = -1) -> bytes:
        assert self.timeout  # without one, it would wait for ever
        raise TimeoutError("timed out")


@pytest.mark.parametrize("kind", ["audio/wav", "multipart/form-data; boundary=x"])
def test_a_body_that_stops_coming_is_given_up(client: FlaskClient, kind: str) -> None:
    body = Stalled()
    answer = client.post(
        "/api/detect", content_type=kind,
        environ_overrides={"gunicorn.socket": body, "wsgi.input": body, "CONTENT_LENGTH": "3000"},
    )  # fmt: skip
    assert answer.status_code == 408 and answer.json["error"] == "request_timeout"
    assert body.timeout is None
