"""First and last bytes of a file -> its container, and whether the file is whole.

The container is decided by magic bytes alone, never by a name, and the decoder has to agree with it.
libsndfile reads a cut WAV or Ogg file without a word, so their own length fields are checked here; and it
stops at the end that a header states, so what lies behind is looked at too.
"""

import os
import re
import struct

from serving.errors import Empty, NotAudio, Truncated, UnsupportedFormat

HEAD_BYTES = 4096
OGG_PAGE_BYTES = 27 + 255 + 255 * 255  # largest page: header, segment table, 255 segments of 255 bytes
STREAMED_SIZE = 0x7FFFF000  # writers that can't seek back leave 2 GiB or more in the size field
MAX_CHUNKS = 1000  # of a RIFF file; real ones have a handful
TAIL_BYTES = 2**16  # of what is looked at behind the decoder's end
OGG_PAGE = re.compile(rb"OggS")
FLAC_OR_FRAME = re.compile(rb"fLaC|\xff[\xf8\xf9]")
MPEG_SYNC = re.compile(rb"\xff[\xe2-\xff]")
ACCEPTED = "WAV, FLAC, OGG (Vorbis or Opus) or MP3"
OTHER_FORMATS = (
    (4, b"ftyp", "MP4/M4A"),
    (0, b"\x1aE\xdf\xa3", "WebM/Matroska"),
    (0, b"0&\xb2u", "WMA"),
    (0, b"FORM", "AIFF"),
    (0, b"#!AMR", "AMR"),
    (0, b"caff", "CAF"),
)


def sniff(fd: int) -> str:
    """Container of the open file: "WAV", "FLAC", "OGG" or "MP3".

    Raises Empty, UnsupportedFormat (known, not accepted) or NotAudio.
    """
    head = os.pread(fd, HEAD_BYTES, 0)
    if not head:
        raise Empty(f"The file has 0 bytes. Send {ACCEPTED}.")
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "WAV"
    if head[:4] == b"fLaC":
        return "FLAC"
    if head[:4] == b"OggS":
        return "OGG"
    if head[:3] == b"ID3":
        return _behind_id3(fd, head)
    if _is_mpeg_frame(head):
        return "MP3"
    for offset, magic, name in OTHER_FORMATS:
        if head[offset : offset + len(magic)] == magic:
            raise UnsupportedFormat(f"This is {name}. Convert it and send {ACCEPTED}.")
    raise NotAudio(f"The file does not start like audio. Send {ACCEPTED}.")


def _behind_id3(fd: int, head: bytes) -> str:
    after = os.pread(fd, 4, id3_bytes(head))
    if not after:
        raise Truncated("The file ends inside its ID3 tag. Upload it again.")
    return "FLAC" if after == b"fLaC" else "MP3"


def id3_bytes(head: bytes) -> int:
    """Length of the ID3v2 tag that `head` starts with, 0 without one."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:  # four bytes of 7 bits
        size = size << 7 | (byte & 0x7F)
    return 10 + size


def _is_mpeg_frame(head: bytes) -> bool:
    """True if `head` starts with a valid MPEG audio frame header (ISO 11172-3, 2.4.1.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer != 0 and bitrate not in (0, 15) and rate != 3


def states_mp3_length(fd: int) -> bool:
    """True if the first MPEG frame carries a Xing/Info header: only then is a length more than a guess."""
    start = id3_bytes(os.pread(fd, 10, 0))
    first_frame = os.pread(fd, 256, start)
    return b"Xing" in first_frame or b"Info" in first_frame


def check_whole(fd: int, container: str) -> None:
    """Raise Truncated if the length fields of a WAV or the last page of an Ogg point past the end."""
    size = os.fstat(fd).st_size
    missing = {"WAV": _missing_wav_bytes, "OGG": _missing_ogg_bytes}.get(container)
    if missing is not None and (short := missing(fd, size)):
        raise Truncated(
            f"The {container} file has {size} bytes and lacks at least {short} more. Upload it again."
        )


def _missing_wav_bytes(fd: int, size: int) -> int:
    """Bytes of the data chunk that lie past the end of the file (RIFF and RF64)."""
    position, data64 = 12, 0
    for _ in range(MAX_CHUNKS):
        header = os.pread(fd, 16, position)
        if len(header) < 8:
            return 8 - len(header)  # no data chunk at all
        name, length = struct.unpack_from("<4sI", header)
        if name == b"ds64":
            data64 = int.from_bytes(os.pread(fd, 8, position + 16), "little")
        if name == b"data":
            length = data64 if data64 and length == 0xFFFFFFFF else length
            streamed = STREAMED_SIZE <= length <= 0xFFFFFFFF
            return 0 if streamed else max(0, position + 8 + length - size)
        position += 8 + length + (length & 1)
    return 0


def _missing_ogg_bytes(fd: int, size: int) -> int:
    """Bytes of the last Ogg page that lie past the end of the file (RFC 3533, section 6)."""
    start = max(0, size - OGG_PAGE_BYTES)
    tail = os.pread(fd, OGG_PAGE_BYTES, start)
    at = tail.rfind(b"OggS")
    if at < 0:
        return 1
    page = tail[at:]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return 1
    segments = page[26]
    return max(0, 27 + segments + sum(page[27 : 27 + segments]) - len(page))


def goes_on(fd: int, container: str, at: int) -> bool:
    """True if more audio of the container's kind lies behind `at`, where the decoder ended.

    Tags may follow the audio. A WAV's further chunks are nobody's audio: no player goes on after the first.
    """
    if container == "MP3":
        tail = os.pread(fd, TAIL_BYTES, _behind_tags(fd, at))
        return any(_is_mpeg_frame(tail[match.start() :]) for match in MPEG_SYNC.finditer(tail))
    magic = {"OGG": OGG_PAGE, "FLAC": FLAC_OR_FRAME}.get(container)
    return magic is not None and magic.search(os.pread(fd, TAIL_BYTES, at)) is not None


def _behind_tags(fd: int, at: int) -> int:
    """Where the tags that start at `at` end: ID3v1, ID3v2 and APEv2."""
    while head := os.pread(fd, 32, at):
        if head.startswith(b"APETAGEX") and len(head) == 32:
            at += 32 + int.from_bytes(head[12:16], "little")  # states its length without this header
        elif head.startswith(b"TAG"):
            at += 128
        elif size := id3_bytes(head):
            at += size
        else:
            break
    return at
