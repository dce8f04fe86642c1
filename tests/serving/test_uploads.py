"""Bodies: how they are fetched, and those that stop coming."""

import hashlib
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import IterUnreader

from serving.uploads import PIECE_BYTES
from tests.serving.conftest import encode, spoken


class Counted(LengthReader):
    """gunicorn's reader of a body that comes in small pieces."""

    reads = 0

    def __init__(self, content: bytes) -> None:
        pieces = (content[at : at + 1000] for at in range(0, len(content), 1000))
        super().__init__(IterUnreader(pieces), len(content))

    def read(self, size: int) -> bytes:
        self.reads += 1
        found: bytes = super().read(size)
        return found


@pytest.mark.parametrize("form", [False, True])
def test_a_body_is_fetched_in_large_pieces(client: FlaskClient, form: bool) -> None:
    """gunicorn's stream alone would fetch 300 of 1 KiB each."""
    clip = body = encode(spoken(10), "WAV")
    kind = "audio/wav"
    if form:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        body, kind = head + clip + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"
    reader = Counted(body)
    stated = {"CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(body)), "wsgi.input_terminated": True}
    answer = client.post("/api/detect", environ_overrides={"wsgi.input": Body(reader), **stated})
    assert answer.status_code == 200
    assert answer.json["clip"]["sha256"] == hashlib.sha256(clip).hexdigest()
    assert reader.reads <= len(body) / PIECE_BYTES + 4


class Connection:
    """What gunicorn hands on of a socket, as far as it is used."""

    timeout: float | None = None
    shut = False

    def settimeout(self, seconds: float | None) -> None:
        self.timeout = seconds

    def shutdown(self, how: int) -> None:
        self.shut = True


def stalling(connection: Connection) -> Body:
    """A body of 3000 bytes of which 2000 come."""

    def pieces() -> Iterator[bytes]:
        yield from (bytes(1000), bytes(1000))
        assert connection.timeout  # without one, it would wait for ever
        raise TimeoutError("timed out")

    return Body(LengthReader(IterUnreader(pieces()), 3000))


@pytest.mark.parametrize("kind", ["audio/wav", "multipart/form-data; boundary=x"])
def test_a_body_that_stops_coming_is_given_up_with_its_connection(client: FlaskClient, kind: str) -> None:
    """What would still come of it would be taken for the next request."""
    connection = Connection()
    stated = {"CONTENT_TYPE": kind, "CONTENT_LENGTH": "3000", "wsgi.input_terminated": True}
    given = {"gunicorn.socket": connection, "wsgi.input": stalling(connection)}
    answer = client.post("/api/detect", environ_overrides={**stated, **given})
    assert answer.status_code == 408 and answer.json["error"] == "request_timeout"
    assert connection.shut and connection.timeout is None
