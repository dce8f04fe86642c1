"""ASVspoof 2019 logical access -> clips, official splits (evaluation is "test").

    LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{train.trn,dev.trl,eval.trl}.txt
    LA/ASVspoof2019_LA_{train,dev,eval}/flac/*.flac

Protocol line: speaker, file, -, attack, key. The folder LA or the one above it may be given.
"""

from pathlib import Path

from training.datasets.clip import Clip, DataError, NoSplit, label_of, make_clip, present

LAYOUT = "ASVspoof 2019 LA: ASVspoof2019_LA_cm_protocols/ and ASVspoof2019_LA_{train,dev,eval}/flac/"
PROTOCOLS = "ASVspoof2019_LA_cm_protocols"
PARTS = {"train": ("train", "train.trn"), "dev": ("dev", "dev.trl"), "test": ("eval", "eval.trl")}
FIELDS = 5  # in a protocol line


def recognises(data: Path) -> bool:
    return _root(data) is not None


def read(data: Path, split: str) -> list[Clip]:
    """Clips of one split. Raises DataError when the protocol, a field or a file is missing."""
    root = _root(data) or data
    part, name = PARTS[split]
    protocol = root / PROTOCOLS / f"ASVspoof2019.LA.cm.{name}.txt"
    audio = root / f"ASVspoof2019_LA_{part}" / "flac"
    return present(read_lines(protocol, audio, ".flac", "asvspoof2019-la", split), protocol)


def read_lines(protocol: Path, audio: Path, suffix: str, source: str, split: str) -> list[Clip]:
    """Clips of a 2019-style protocol (speaker, file, -, attack, key), which PartialSpoof shares."""
    if not protocol.is_file():
        raise NoSplit(f"{protocol} does not exist; the {split} split needs it. Unpack the corpus' protocols.")
    clips = []
    for number, line in enumerate(protocol.read_text().splitlines(), start=1):
        fields = line.split()
        if len(fields) != FIELDS:
            raise DataError(
                f"{protocol}, line {number}: {len(fields)} fields, not {FIELDS}: speaker file - attack key."
            )
        speaker, name, _, attack, key = fields
        label = label_of(key, f"{protocol}, line {number}")
        clips.append(make_clip(audio / f"{name}{suffix}", label, attack, speaker, source, split))
    return clips


def _root(data: Path) -> Path | None:
    return next((root for root in (data, data / "LA") if (root / PROTOCOLS).is_dir()), None)
