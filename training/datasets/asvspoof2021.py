"""ASVspoof 2021 logical access or deepfake -> clips; both are evaluation sets, so "test" only.

    keys/{LA,DF}/CM/trial_metadata.txt        or {LA,DF}-keys-full/keys/..., or keys/CM/ in older archives
    ASVspoof2021_{LA,DF}_eval/flac/*.flac     DF comes in four parts that unpack into one folder

Line: speaker, file, codec, channel or origin, attack, key, trim, phase (progress, eval, hidden), more for DF.
Silence-trimmed `hidden` and the `progress` trials are left out, as in published figures.
"""

from pathlib import Path

from training.datasets.clip import Clip, DataError, label_of, make_clip, only_test, present

LAYOUT = "ASVspoof 2021: keys/{LA,DF}/CM/trial_metadata.txt and ASVspoof2021_{LA,DF}_eval/flac/"
TASKS = ("LA", "DF")
PHASE = "eval"
FIELDS = 8  # at least, in a line of trial_metadata.txt


def recognises(data: Path) -> bool:
    return data.is_dir() and any((data / f"ASVspoof2021_{task}_eval").is_dir() for task in TASKS)


def read(data: Path, split: str) -> list[Clip]:
    """Clips of the evaluation phase of every task found in the folder. Raises DataError for any split but
    "test"."""
    only_test(split, "ASVspoof 2021")
    clips = []
    for task in TASKS:
        audio = data / f"ASVspoof2021_{task}_eval" / "flac"
        if audio.is_dir():
            keys = _keys(data, task)
            clips += present(_clips(keys, audio, task, split), keys)
    return clips


def _keys(data: Path, task: str) -> Path:
    under = ("keys", f"{task}-keys-full/keys", f"ASVspoof2021_{task}_eval/keys")
    places = [data / top / part / "CM" / "trial_metadata.txt" for top in under for part in (task, "")]
    for place in places:
        if place.is_file():
            return place
    raise DataError(
        f"{data} has {task} audio but no keys; expected {places[0]}. Unpack {task}-keys-full.tar.gz there."
    )


def _clips(keys: Path, audio: Path, task: str, split: str) -> list[Clip]:
    clips = []
    for number, line in enumerate(keys.read_text().splitlines(), start=1):
        fields = line.split()
        if len(fields) < FIELDS:
            raise DataError(
                f"{keys}, line {number}: {len(fields)} fields; expected at least {FIELDS}. Use the 2021 keys."
            )
        speaker, name, attack, key, phase = fields[0], fields[1], fields[4], fields[5], fields[7]
        if phase == PHASE and name.startswith(f"{task}_"):
            label = label_of(key, f"{keys}, line {number}")
            clips.append(
                make_clip(
                    audio / f"{name}.flac", label, attack, speaker, f"asvspoof2021-{task.lower()}", split
                )
            )
    return clips
