"""WaveFake (Frank and Schoenherr, 2021) and the recordings that it vocodes -> clips.

    generated_audio/{ljspeech,jsut}_<vocoder>/*.wav      the fakes; those folders may also lie here
    generated_audio/common_voices_prompts_.../*.wav
    LJSpeech-1.1/wavs/*.wav                              the bona fide
    jsut_ver1.1/basic5000/wav/*.wav

The authors give no splits: an utterance goes, with every vocoded version of it, where a hash of its name
puts it.
"""

from collections.abc import Iterator
from pathlib import Path

from training.datasets.clip import Clip, DataError, audio_files, hashed_split, make_clip

LAYOUT = (
    "WaveFake: generated_audio/ljspeech_*, jsut_* beside LJSpeech-1.1/wavs/ and jsut_ver1.1/basic5000/wav/"
)
REAL_FOLDERS = {"ljspeech": "LJSpeech-1.1/wavs", "jsut": "jsut_ver1.1/basic5000/wav"}
ENDINGS = ("_generated", "_gen")  # which vocoders put behind the utterance's name


def recognises(data: Path) -> bool:
    return data.is_dir() and next(_vocoded(data), None) is not None


def read(data: Path, split: str) -> list[Clip]:
    """Clips of one split. Raises DataError when no folder of real recordings is there: half a corpus teaches
    nothing."""
    real = {voice: data / folder for voice, folder in REAL_FOLDERS.items() if (data / folder).is_dir()}
    if not real:
        places = " or ".join(str(data / folder) for folder in REAL_FOLDERS.values())
        raise DataError(
            f"{data} holds only generated clips; expected the real ones in {places}. "
            "Unpack LJSpeech or JSUT there."
        )
    clips = [
        make_clip(path, "bonafide", "", voice, f"wavefake/{voice}", hashed_split(path.stem))
        for voice, folder in real.items()
        for path in audio_files(folder)
    ]
    for folder in _vocoded(data):
        voice = "jsut" if folder.name.startswith("jsut") else "ljspeech"
        clips += [
            make_clip(path, "spoof", folder.name, voice, f"wavefake/{voice}", hashed_split(utterance(path)))
            for path in audio_files(folder)
        ]
    return [clip for clip in clips if clip.split == split]


def utterance(path: Path) -> str:
    """LJ001-0001_gen.wav -> LJ001-0001, the name that a vocoded clip shares with its recording."""
    for ending in ENDINGS:
        if path.stem.endswith(ending):
            return path.stem.removesuffix(ending)
    return path.stem


def _vocoded(data: Path) -> Iterator[Path]:
    top = data / "generated_audio" if (data / "generated_audio").is_dir() else data
    for folder in sorted(top.iterdir()):
        vocoded = folder.name.startswith(("ljspeech_", "jsut_", "common_voices_prompts"))
        if folder.is_dir() and vocoded and not folder.name.startswith("jsut_ver"):
            yield folder
