"""Bytes -> samples: formats, limits and everything that can be wrong with a file."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.audio import SAMPLE_RATE, ClipError, Limits, load, stream
from tests.serving.conftest import encode, noise

ID3_V1 = b"TAG" + bytes(125)
FORMATS = [
    ("WAV", "PCM_16", 1e-4),
    ("WAV", "PCM_24", 1e-4),
    ("WAV", "FLOAT", 1e-7),
    ("WAV", "ULAW", 2e-2),
    ("WAVEX", "PCM_16", 1e-4),
    ("RF64", "PCM_16", 1e-4),
    ("FLAC", "PCM_16", 1e-4),
    ("OGG", "VORBIS", None),
    ("OGG", "OPUS", None),
    ("MP3", "MPEG_LAYER_III", None),
]


def tone(seconds: float, rate: int = SAMPLE_RATE) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def code_of(source: bytes | Path, limits: Limits | None = None) -> str:
    with pytest.raises(ClipError) as raised:
        load(source, *([limits] if limits else []))
    return raised.value.code


@pytest.mark.parametrize(("container", "codec", "tolerance"), FORMATS)
def test_what_was_written_is_read(container: str, codec: str, tolerance: float | None) -> None:
    samples = tone(1.5)
    found = load(encode(samples, container, codec))
    assert found.dtype == np.float32
    if tolerance is None:  # lossy and with a delay of its own: the spectrum has to be right
        assert abs(len(found) - len(samples)) < 0.1 * SAMPLE_RATE
        spectrum = np.abs(np.fft.rfft(found[:SAMPLE_RATE]))
        assert np.argmax(spectrum) == 440
    else:
        np.testing.assert_allclose(found, samples, atol=tolerance)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_other_rates_are_brought_to_16_khz(rate: int) -> None:
    found = load(encode(tone(2, rate), "FLAC", rate=rate))
    assert len(found) == 2 * SAMPLE_RATE
    middle = slice(SAMPLE_RATE // 2, 3 * SAMPLE_RATE // 2)
    np.testing.assert_allclose(found[middle], tone(2)[middle], atol=2e-3)


def test_channels_are_averaged() -> None:
    parts = np.stack([noise(1, seed) for seed in range(3)], axis=1)
    found = load(encode(parts, "WAV", "FLOAT"))
    np.testing.assert_allclose(found, parts.mean(axis=1), atol=1e-6)


def test_facts_are_known_before_decoding() -> None:
    with stream(encode(np.stack([tone(2, 44_100)] * 2, axis=1), "FLAC", rate=44_100)) as clip:
        facts = clip.facts
    assert (facts.container, facts.codec, facts.original_rate_hz, facts.channels) == (
        "FLAC",
        "PCM_16",
        44_100,
        2,
    )
    assert facts.header_duration_s == 2.0


@pytest.mark.parametrize("rate", [SAMPLE_RATE, 44_100])
def test_a_streamed_clip_equals_one_read_at_once(rate: int) -> None:
    samples = noise(35, rate=rate)
    with stream(encode(samples, "WAV", "FLOAT", rate)) as clip:
        blocks = list(clip)
    assert len(blocks) > 3
    assert max(map(len, blocks)) <= 10.1 * SAMPLE_RATE
    whole = load(encode(samples, "WAV", "FLOAT", rate))
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    if rate == SAMPLE_RATE:
        np.testing.assert_array_equal(whole, samples)


def test_bytes_a_path_and_an_open_file_give_the_same(tmp_path: Path) -> None:
    content = encode(tone(1), "FLAC")
    path = tmp_path / "clip.raw"  # the name says nothing
    path.write_bytes(content)
    with path.open("rb") as file:
        file.seek(7)  # wherever it stands
        from_file = load(file)
    np.testing.assert_array_equal(load(content), from_file)
    np.testing.assert_array_equal(load(content), load(path))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"Dear Sir or Madam", "not_audio"),
        (bytes(5000), "not_audio"),
        (b"fLaC" + bytes(5000), "not_audio"),
        (b"\xff\xfb\x90\x64" + bytes(range(256)) * 20, "not_audio"),
        (b"RIFF\x00\x00\x00\x00WAVE", "truncated"),
        (b"OggS" + bytes(10), "truncated"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x7f", "truncated"),
        (b"\x00\x00\x00\x20ftypM4A " + bytes(100), "unsupported_format"),
        (b"\x1aE\xdf\xa3" + bytes(100), "unsupported_format"),
        (encode(np.zeros(0, np.float32)), "empty"),
        (encode(noise(0.2)), "too_short"),
        (encode(np.zeros(SAMPLE_RATE, np.float32)), "silent"),
        (encode(np.full(SAMPLE_RATE, np.nan, np.float32), "WAV", "FLOAT"), "not_finite"),
        (encode(np.full(SAMPLE_RATE, np.inf, np.float32), "WAV", "FLOAT"), "not_finite"),
        (encode(np.full(SAMPLE_RATE, 1e30, np.float32), "WAV", "FLOAT"), "not_finite"),
        (encode(noise(1, rate=4_000), rate=4_000), "unsupported_rate"),
        (encode(np.tile(noise(1)[:, None], (1, 9))), "too_many_channels"),
    ],
)
def test_a_bad_file_is_named(content: bytes, code: str) -> None:
    assert code_of(content) == code


@pytest.mark.parametrize(("container", "codec", "_"), FORMATS)
@pytest.mark.parametrize("share", [0.97, 0.5])
def test_a_cut_file_is_truncated(container: str, codec: str, _: object, share: float) -> None:
    content = encode(noise(6), container, codec)
    assert code_of(content[: int(len(content) * share)]) == "truncated"


@pytest.mark.parametrize(
    ("container", "codec"),
    [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")],
)
def test_a_second_recording_behind_the_first_is_noticed(container: str, codec: str) -> None:
    """Decoders stop at the end that the first one states: a verdict on it would pass for one on all."""
    first, second = encode(noise(2), container, codec), encode(noise(3), container, codec)
    assert code_of(first + second) == "joined"
    assert code_of(first + ID3_V1 + second) == "joined"


def test_a_length_that_was_written_too_small_hides_nothing() -> None:
    flac = bytearray(encode(noise(5), "FLAC"))
    flac[21] &= 0xF0  # STREAMINFO: 36 bits of total samples
    flac[22:26] = (2 * SAMPLE_RATE).to_bytes(4, "big")
    assert code_of(bytes(flac)) == "joined"


@pytest.mark.parametrize(("container", "codec"), [("MP3", "MPEG_LAYER_III"), ("FLAC", "PCM_16")])
def test_tags_behind_the_audio_are_no_audio(container: str, codec: str) -> None:
    content = encode(tone(2), container, codec)
    ape = b"APETAGEX" + struct.pack("<IIII8x", 2000, 40, 1, 0xA0000000) + b"\xff\xfb\x90\x64" * 10
    for tags in (ID3_V1, ape, ape + ID3_V1) if container == "MP3" else (ID3_V1,):
        np.testing.assert_array_equal(load(content + tags), load(content))


def test_a_wav_and_a_flac_of_unstated_length_are_read_to_their_end() -> None:
    """As a recorder that can't seek back writes them."""
    wav = bytearray(encode(tone(2)))
    at = wav.index(b"data")
    wav[4:8] = wav[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    assert len(load(bytes(wav))) == 2 * SAMPLE_RATE
    flac = bytearray(encode(tone(2), "FLAC"))
    flac[21] &= 0xF0  # STREAMINFO: 36 bits of total samples
    flac[22:26] = bytes(4)
    with stream(bytes(flac)) as clip:
        assert clip.facts.header_duration_s is None
        assert sum(map(len, clip)) == 2 * SAMPLE_RATE


def test_limits_hold_for_size_length_and_decoded_values() -> None:
    content = encode(np.stack([noise(2), noise(2)], axis=1))
    assert code_of(content, Limits(max_bytes=1000)) == "too_large"
    assert code_of(content, Limits(max_s=1.9)) == "too_long"
    assert code_of(content, Limits(max_values=3 * SAMPLE_RATE)) == "too_long"
    assert len(load(content, Limits(max_s=2.0, max_values=4 * SAMPLE_RATE))) == 2 * SAMPLE_RATE


def test_a_length_that_no_header_states_is_limited_too() -> None:
    flac = bytearray(encode(noise(3), "FLAC"))
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    assert code_of(bytes(flac), Limits(max_s=2)) == "too_long"


def test_errors_say_found_and_expected() -> None:
    with pytest.raises(ClipError, match=r"0\.20 s; at least 0\.5 s"):
        load(encode(noise(0.2)))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_give_samples_or_a_typed_error(data: st.DataObject) -> None:
    container, codec, _ = data.draw(st.sampled_from(FORMATS))
    content = bytearray(CLEAN[container, codec])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    try:
        found = load(bytes(content[:cut] if data.draw(st.booleans()) else content), Limits(max_s=60))
    except ClipError as error:
        assert error.code and error.message
    else:
        assert np.isfinite(found).all()


CLEAN = {(container, codec): encode(noise(0.6), container, codec) for container, codec, _ in FORMATS}


def test_no_descriptor_is_left_open() -> None:
    open_before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    for _ in range(5):
        load(encode(noise(1)))
        code_of(b"not audio")
        code_of(encode(noise(1))[:1000])
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before if open_before else True


def test_the_reference_decoder_agrees() -> None:
    content = encode(noise(2), "OGG", "VORBIS")
    expected, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    assert rate == SAMPLE_RATE
    np.testing.assert_allclose(load(content), expected, atol=1e-6)
