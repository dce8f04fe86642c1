"""Debian packages -> files of recorded human speech in them, by voice.

Packages are fetched and unpacked, never installed. Only voices whose package, tags or credits speak of a
person are listed: where a voice may be synthetic or filtered, it is left out.
"""

import re
import subprocess
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SUFFIXES = (".ogg", ".wav")


@dataclass(frozen=True)
class Package:
    name: str
    voices: str  # regular expression on a file's path; its group `voice` names who speaks
    most: int  # clips a voice
    language: str = ""  # where it is not the voice's name
    zipped: str = ""  # name of a zip file in the package that holds the recordings


@dataclass(frozen=True)
class Recording:
    path: Path
    package: str
    voice: str
    language: str


PACKAGES = (
    Package("klettres-data", r"/klettres/(?P<voice>\w+)/(alpha|syllab)/", 20),
    # Not ca, fr, nn, ru, uk: large sets, at 22 kHz or without a credit, that may be synthetic.
    Package(
        "ktuberling-data", r"/sounds/(?P<voice>da|de|el|en|es|fi|ga|gl|it|lt|nds|nl|pt|ro|sl|sv|wa)/", 15
    ),
    # The languages whose speakers the change log names.
    Package("tuxpaint-stamps-default", r"_desc_(?P<voice>be|bg|ca|da|el|es|fr|pt_BR|ro|ru)\.ogg$", 50),
    # Not Robot and Singer: filtered and sung.
    Package("hedgewars-data", r"/voices/(?P<voice>(?!Robot|Singer)\w+)/", 25, "unknown"),
    # The two fish that talk, m and v; other names are noises.
    Package("fillets-ng-data-cs", r"/cs/[^/]*-(?P<voice>[mv])-", 40, "cs"),
    Package("fillets-ng-data-nl", r"/nl/[^/]*-(?P<voice>[mv])-", 40, "nl"),
    Package("gcin-voice", r"/ogg/[^/]+/(?P<voice>[35])\.ogg$", 30, "zh"),
    # Only the recordings: the rest is the codec's output or a modem's.
    Package("codec2-examples", r"/wav/(?P<voice>hts[12]a|[fm]orig|mmt1|david4|wia_16kHz)\.wav$", 2, "en"),
    Package("pocketsphinx-testdata", r"/data/(?P<voice>cards|librivox)/", 5, "en"),
    Package("unknown-horizons", r"/voice/(?P<voice>en|fr|de)/", 8),
    # Announcements of 1999; not the machine's voice (nexus), nor what may have been added later.
    Package("warzone2100-data", r"/audio/(?P<voice>memressp|countdown)/", 50, "en", "base.wz"),
)


def unpacked(package: Package, folder: Path) -> Path:
    """The package's files below `folder`, fetched with apt-get where they are not there yet."""
    name = package.name
    target = folder / name
    if not target.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", name], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        [archive] = folder.glob(f"{name}_*.deb")
        part = folder / f"{name}.part"
        subprocess.run(["dpkg-deb", "-x", archive, part], check=True)
        for inner in part.rglob(package.zipped) if package.zipped else ():
            with zipfile.ZipFile(inner) as file:
                file.extractall(inner.with_suffix(""))
        part.rename(target)
        archive.unlink()
    return target


def by_voice(paths: list[Path], package: Package) -> dict[str, list[Path]]:
    """Paths of sound files whose voice the package's expression names, sorted, by that name."""
    voices: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(paths):
        match = re.search(package.voices, path.as_posix())
        if match and path.suffix in SUFFIXES:
            voices[match["voice"]].append(path)
    return voices


def recordings(package: Package, root: Path, rng: np.random.Generator) -> list[tuple[list[Recording], int]]:
    """For each voice its recordings in random order, and how many clips are wanted of them."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return [
        (
            [
                Recording(paths[i], package.name, voice, package.language or voice)
                for i in rng.permutation(len(paths))
            ],
            package.most,
        )
        for voice, paths in by_voice(files, package).items()
    ]


def licences(root: Path) -> str:
    """Short names of the licences in the package's own copyright file, or a pointer to it."""
    [file] = root.glob("usr/share/doc/*/copyright")
    names = re.findall(r"^License:[ \t]*(\S.*)$", file.read_text(encoding="utf-8", errors="replace"), re.M)
    return ", ".join(dict.fromkeys(names)) or f"see copyright of debian:{root.name}"
