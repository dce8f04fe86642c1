"""Makes the page's try-it clips: text -> web/static/examples/*.ogg (Opus), by machine voices only.

Run: python web/examples/make_examples.py
It needs espeak-ng, flite and ffmpeg. The clips are committed, so nothing else does.

None of the clips is human speech: two are speech synthesizers, one is noise. A recording of a person is best
made with the page's own recorder.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "static" / "examples"
TEXT = (
    "Hello, this is your bank calling. We noticed an unusual payment on your account this morning. "
    "To keep your money safe, please confirm the code that we have just sent to your phone."
)
FADE = "afade=in:d=0.05"


def to_opus(source: list[str], name: str) -> None:
    """ffmpeg input arguments -> OUT/name, 24 kbit/s mono Opus at 24 kHz."""
    target = OUT / name
    command = ["ffmpeg", "-v", "error", "-y", *source, "-af", FADE, "-ac", "1", "-ar", "24000"]
    subprocess.run(
        [*command, "-c:a", "libopus", "-b:a", "24k", "-map_metadata", "-1", str(target)], check=True
    )


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wav = f"{folder}/voice.wav"
        subprocess.run(["espeak-ng", "-v", "en-gb", "-s", "150", "-w", wav, TEXT], check=True)
        to_opus(["-i", wav], "formant-voice.ogg")
        subprocess.run(["flite", "-voice", "slt", "-t", TEXT, "-o", wav], check=True)
        to_opus(["-i", wav], "statistical-voice.ogg")
    to_opus(["-f", "lavfi", "-i", "anoisesrc=c=pink:a=0.2:s=1:r=48000:d=8"], "noise.ogg")


if __name__ == "__main__":
    main()
