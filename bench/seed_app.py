"""The seed's pipeline, written anew from its description, as the Flask app that it was.

Windows of 0.5 s every 0.25 s in a Python loop: a librosa MFCC (13 by 100 frames) and a torch forward each,
then a matplotlib picture of spectrogram and curve. Weights are random: only time is measured.
"""

import io
import os
import tempfile
from pathlib import Path

import librosa
import matplotlib
import numpy as np
import torch
from flask import Flask, request
from torch import nn

matplotlib.use("Agg")
from matplotlib import pyplot as plt

RATE, WINDOW, HOP, FRAMES = 16_000, 8_000, 4_000, 100
PICTURE = Path(tempfile.gettempdir()) / f"seed-picture-{os.getuid()}.png"  # one name for all, as the seed's

torch.set_num_threads(1)
app = Flask(__name__)


class Cnn(nn.Module):
    """(1, 1, 13, 100) -> probability."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1, self.fc2 = nn.Linear(32 * 6 * 50, 128), nn.Linear(128, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv2(self.pool(torch.relu(self.conv1(x)))))
        return torch.sigmoid(self.fc2(torch.relu(self.fc1(x.flatten(1)))))


model = Cnn().eval()


def probability(samples: np.ndarray) -> float:
    """One window (8000,) -> probability of spoof."""
    mfcc = librosa.feature.mfcc(y=samples, sr=RATE, n_mfcc=13)
    padded = np.pad(mfcc, ((0, 0), (0, max(0, FRAMES - mfcc.shape[1]))))[:, :FRAMES]
    with torch.no_grad():
        return float(model(torch.tensor(padded, dtype=torch.float32)[None, None])[0, 0])


def draw(samples: np.ndarray, curve: list[float]) -> None:
    """Spectrogram and probability over time, as a PNG."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(10, 6))
    decibels = librosa.amplitude_to_db(np.abs(librosa.stft(samples)), ref=np.max)
    librosa.display.specshow(decibels, sr=RATE, x_axis="time", y_axis="hz", ax=above)
    below.plot(np.arange(len(curve)) * HOP / RATE, curve)
    figure.savefig(PICTURE)
    plt.close(figure)


@app.get("/")
def index() -> str:
    return "ok"


@app.post("/")
def detect() -> dict[str, object]:
    samples, _ = librosa.load(io.BytesIO(request.data), sr=RATE)
    verdict = probability(samples)  # of the first 100 frames only
    starts = range(0, max(1, len(samples) - WINDOW + 1), HOP)
    curve = [probability(samples[start : start + WINDOW]) for start in starts]
    draw(samples, curve)
    return {"verdict": "fake" if verdict > 0.5 else "real", "windows": curve}
