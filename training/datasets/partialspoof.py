"""PartialSpoof (Zhang et al., 2021) -> clips, official splits (evaluation is "test").

    database/protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.{train,dev,eval}.trl.txt
    database/{train,dev,eval}/con_wav/*.wav

Protocol line as in ASVspoof 2019: speaker, file, -, CON or -, key. A clip of which any part is spoof is
labelled spoof. The folder `database` or the one above it may be given.
"""

from pathlib import Path

from training.datasets.asvspoof2019 import read_lines
from training.datasets.clip import Clip, present

LAYOUT = "PartialSpoof: database/ with protocols/PartialSpoof_LA_cm_protocols/ and {train,dev,eval}/con_wav/"
PROTOCOLS = "protocols/PartialSpoof_LA_cm_protocols"
PARTS = {"train": "train", "dev": "dev", "test": "eval"}


def recognises(data: Path) -> bool:
    return _root(data) is not None


def read(data: Path, split: str) -> list[Clip]:
    """Clips of one split. Raises DataError when the protocol, a field or a file is missing."""
    root = _root(data) or data
    protocol = root / PROTOCOLS / f"PartialSpoof.LA.cm.{PARTS[split]}.trl.txt"
    audio = root / PARTS[split] / "con_wav"
    return present(read_lines(protocol, audio, ".wav", "partialspoof", split), protocol)


def _root(data: Path) -> Path | None:
    return next((root for root in (data, data / "database") if (root / PROTOCOLS).is_dir()), None)
