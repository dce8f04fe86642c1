"""The decoder process gives what decoding here gives, and its end is a typed error and no more."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serving.audio import ClipError, Limits, load, stream
from serving.decoder import DecoderPool, DecoderProcess
from tests.serving.conftest import encode, noise


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecoderProcess]:
    process = DecoderProcess()
    yield process
    process.stop()


def read(decoder: DecoderProcess, source: bytes | Path, limits: Limits | None = None) -> np.ndarray:
    with decoder.open(source, *([limits] if limits else [])) as clip:
        return np.concatenate(list(clip))


def pid_of(decoder: DecoderProcess) -> int:
    decoder.start()
    assert decoder._process is not None
    return decoder._process.pid


def test_samples_and_facts_are_those_of_decoding_here(decoder: DecoderProcess, tmp_path: Path) -> None:
    content = encode(np.stack([noise(25, rate=44_100)] * 2, axis=1), "OGG", "VORBIS", 44_100)
    path = tmp_path / "clip"
    path.write_bytes(content)
    for source in (content, path):
        np.testing.assert_array_equal(read(decoder, source), load(content))
    with decoder.open(content) as clip, stream(content) as here:
        assert clip.facts == here.facts
        assert sum(map(len, clip)) == 25 * 16_000


def test_errors_come_back_typed_and_the_process_lives_on(decoder: DecoderProcess) -> None:
    before = pid_of(decoder)
    for content, limits, code in (
        (b"", None, "empty"),
        (b"no audio", None, "not_audio"),
        (encode(noise(3))[:9_000], None, "truncated"),
        (encode(noise(3), "FLAC")[:9_000], None, "truncated"),
        (encode(noise(3)), Limits(max_s=2), "too_long"),
        (encode(np.zeros(16_000, np.float32)), None, "silent"),
    ):
        with pytest.raises(ClipError) as raised:
            read(decoder, content, limits)
        assert raised.value.code == code
        assert type(raised.value) is not ClipError
    assert pid_of(decoder) == before


def test_a_crash_costs_one_clip(decoder: DecoderProcess) -> None:
    before = pid_of(decoder)
    content = encode(noise(200), "FLAC")  # more than a socket buffers
    with pytest.raises(ClipError) as raised, decoder.open(content) as clip:
        os.kill(before, signal.SIGSEGV)
        list(clip)
    assert raised.value.code == "decoder_failed"
    assert len(read(decoder, encode(noise(1)))) == 16_000
    assert pid_of(decoder) != before


def test_a_decoder_that_hangs_is_given_up() -> None:
    decoder = DecoderProcess(answer_s=0.5)
    try:
        os.kill(pid_of(decoder), signal.SIGSTOP)
        with pytest.raises(ClipError) as raised:
            read(decoder, encode(noise(1)))
        assert raised.value.code == "decoder_failed"
        assert len(read(decoder, encode(noise(1)))) == 16_000
    finally:
        decoder.stop()


def test_an_abandoned_clip_leaves_nothing_for_the_next(decoder: DecoderProcess) -> None:
    with decoder.open(encode(noise(200, seed=1))) as clip:
        next(iter(clip))
    np.testing.assert_array_equal(read(decoder, encode(noise(1, seed=2))), load(encode(noise(1, seed=2))))


def test_a_missing_file_is_an_os_error_and_does_no_harm(decoder: DecoderProcess, tmp_path: Path) -> None:
    before = pid_of(decoder)
    with pytest.raises(FileNotFoundError):
        read(decoder, tmp_path / "missing.wav")
    assert pid_of(decoder) == before


def test_the_process_knows_no_secret(decoder: DecoderProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_TOKEN", "hunter2")
    decoder.stop()
    environment = Path(f"/proc/{pid_of(decoder)}/environ")
    if not environment.exists():
        pytest.skip("needs /proc")
    assert b"hunter2" not in environment.read_bytes()


def test_a_pool_decodes_as_many_clips_at_once_as_it_has_processes(tmp_path: Path) -> None:
    paths = [tmp_path / f"{seed}.wav" for seed in range(2)]
    for seed, path in enumerate(paths):
        path.write_bytes(encode(noise(30, seed)))
    pool = DecoderPool(2)
    try:
        pool.start()
        with pool.open(paths[0]) as first, pool.open(paths[1]) as second:
            blocks = list(zip(first, second, strict=True))
        for at, path in enumerate(paths):
            assert np.array_equal(np.concatenate([pair[at] for pair in blocks]), load(path))
        with pool.open(paths[1]) as again:
            assert np.array_equal(np.concatenate(list(again)), load(paths[1]))
    finally:
        pool.stop()
