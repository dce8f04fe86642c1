"""ASVspoof 5, track 1 -> clips, official splits (evaluation is "test").

    ASVspoof5.{train,dev.track_1,eval.track_1}.tsv    (here, in ASVspoof5_protocols/ or in protocols/)
    flac_T/, flac_D/, flac_E_eval/                    (here or in ASVspoof5_{train,dev,eval}/)

Lines are parted by spaces in spite of the suffix: speaker, file, gender, codec, quality, seed, attack tag,
attack, key, -.
"""

from pathlib import Path

from training.datasets.clip import Clip, DataError, NoSplit, label_of, make_clip, present

LAYOUT = (
    "ASVspoof 5: ASVspoof5.train.tsv, .dev.track_1.tsv, .eval.track_1.tsv and flac_T/, flac_D/, flac_E_eval/"
)
PARTS = {
    "train": ("ASVspoof5.train.tsv", "flac_T", "ASVspoof5_train"),
    "dev": ("ASVspoof5.dev.track_1.tsv", "flac_D", "ASVspoof5_dev"),
    "test": ("ASVspoof5.eval.track_1.tsv", "flac_E_eval", "ASVspoof5_eval"),
}
PROTOCOL_FOLDERS = ("", "ASVspoof5_protocols", "protocols")
FIELDS = 9  # at least; the tenth is reserved


def recognises(data: Path) -> bool:
    return data.is_dir() and any(
        (data / top / part[0]).is_file() for top in PROTOCOL_FOLDERS for part in PARTS.values()
    )


def read(data: Path, split: str) -> list[Clip]:
    """Clips of one split. Raises DataError when the protocol, a field or a file is missing."""
    name, folder, archive = PARTS[split]
    protocol = next((data / top / name for top in PROTOCOL_FOLDERS if (data / top / name).is_file()), None)
    if protocol is None:
        raise NoSplit(
            f"{data} lacks {name}, which lists the {split} split. Unpack ASVspoof5_protocols.tar.gz there."
        )
    audio = data / folder if (data / folder).is_dir() else data / archive / folder
    return present(_clips(protocol, audio, split), protocol)


def _clips(protocol: Path, audio: Path, split: str) -> list[Clip]:
    clips = []
    for number, line in enumerate(protocol.read_text().splitlines(), start=1):
        fields = line.split()
        if len(fields) < FIELDS:
            raise DataError(
                f"{protocol}, line {number}: {len(fields)} fields; expected {FIELDS}, parted by spaces."
            )
        speaker, name, attack, key = fields[0], fields[1], fields[7], fields[8]
        label = label_of(key, f"{protocol}, line {number}")
        clips.append(make_clip(audio / f"{name}.flac", label, attack, speaker, "asvspoof5", split))
    return clips
