"""Texts of our own -> speech by synthesisers that packages bring: eSpeak NG and Flite."""

import subprocess
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from serving.audio import load
from training.espeak import Espeak

LICENCES = {"espeak-ng": "GPL-3.0-or-later (tool)", "flite": "BSD-like"}
RATES_HZ = {"espeak-ng": 22_050, "flite": 16_000}
CLIPS = 60  # a generator
WORDS_PER_MINUTE = 165  # at speed 1
FLITE_VOICES = ("awb", "kal16", "rms", "slt")
ESPEAK_VARIANTS = ("", "+m1", "+m3", "+m5", "+f1", "+f2", "+f4", "+croak", "+whisper")
TEXTS = {
    "en-us": (
        "The ferry leaves at six, so please be on the quay a little earlier.",
        "My neighbour keeps bees, and in June she gives us honey.",
        "Would you mind holding this ladder while I change the bulb?",
        "Three of the four parcels arrived; the last one is still missing.",
        "After the storm the whole valley smelled of wet pine.",
        "I have never met anyone who could whistle that loudly.",
        "Turn left behind the bakery, then count seven doors.",
        "Nobody expected the meeting to end before lunch.",
    ),
    "de": (
        "Der Zug nach Bremen hat heute zwanzig Minuten Verspätung.",
        "Kannst du mir bitte das Salz und die große Schüssel geben?",
        "Im Keller steht noch das alte Fahrrad meines Bruders.",
    ),
    "fr": (
        "Le marché ouvre à huit heures, même quand il pleut.",
        "Je voudrais deux billets pour la séance de ce soir.",
        "La fenêtre de la cuisine ne ferme plus depuis hier.",
    ),
    "es": (
        "Mañana vamos a la playa si no hace demasiado viento.",
        "El perro del vecino duerme siempre debajo de la mesa.",
    ),
    "it": ("La chiave di casa è sotto il vaso di basilico.", "Domani mattina portiamo i bambini al lago."),
    "pl": ("Jutro rano pojedziemy pociągiem nad morze.", "Moja siostra uczy się grać na skrzypcach."),
    "pt": ("O autocarro passa todos os dias às sete e meia.", "A minha avó faz o melhor pão da aldeia."),
    "cs": ("Zítra ráno půjdeme na houby do lesa.", "Klíče jsem nechal na stole v kuchyni."),
}


@dataclass(frozen=True)
class Line:
    attack: str
    voice: str
    language: str
    text: str
    speed: float  # 1 is the voice's own


def lines(rng: np.random.Generator) -> list[Line]:
    """What is to be said: `CLIPS` of each generator, voices in turn, texts and speeds drawn."""
    return [_line(attack, number, rng) for attack in LICENCES for number in range(CLIPS)]


def _line(attack: str, number: int, rng: np.random.Generator) -> Line:
    speed = round(float(rng.uniform(0.8, 1.25)), 2)
    if attack == "flite":
        language, voice = "en-us", FLITE_VOICES[number % len(FLITE_VOICES)]
    else:
        language = list(TEXTS)[number % len(TEXTS)]
        voice = language + str(rng.choice(ESPEAK_VARIANTS))
    return Line(attack, voice, language[:2], str(rng.choice(TEXTS[language])), speed)


@cache
def _espeak() -> Espeak:
    return Espeak()


def say(line: Line) -> NDArray[np.float32]:
    """Speech as (N,) float32 at 16 kHz."""
    if line.attack == "espeak-ng":
        return _espeak().say(line.text, line.voice, round(WORDS_PER_MINUTE * line.speed), 50, 50, 0)
    stretch = f"duration_stretch={1 / line.speed:.2f}"
    command = ["flite", "-voice", line.voice, "--setf", stretch, "-t", line.text, "-o", "/dev/stdout"]
    return load(subprocess.run(command, check=True, capture_output=True).stdout)
