"""Pooled clips are scored as serving scores them, and what can't be pooled is named."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from serving.frames import FrameTrack
from training.config import ENCODER_WINDOW, FRAME_HOP, configure
from training.datasets import Clip, DataError
from training.pool import Part, Pool, pool
from training.scoring import chunks_of, score

CONFIG = configure("encoder", {})


class Loudness(torch.nn.Module):
    """Mean square of each window and of each frame."""

    def forward(self, waveform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        frames = (waveform**2).reshape(1, -1, FRAME_HOP).mean(dim=2)
        return frames.reshape(1, -1, ENCODER_WINDOW // FRAME_HOP).mean(dim=2), frames


@pytest.mark.parametrize("samples", [8_000, 30_720, 48_000, 70_400])
def test_every_frame_of_a_clip_counts_once(samples: int) -> None:
    clip = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    stored = np.round(clip * 32767).astype(np.int16)
    held = Pool([Part({"plain": stored}, np.array([0, samples]))])
    [frames] = score(Loudness(), held, 1, CONFIG).frame
    expected = FrameTrack(FRAME_HOP)
    for part in chunks_of(held.get(0, "plain"), CONFIG):
        expected.add(part.start_sample, np.mean(part.samples.reshape(-1, FRAME_HOP) ** 2, axis=1))
    assert len(frames) == -(-samples // FRAME_HOP)
    np.testing.assert_allclose(frames, expected.joined(samples), rtol=1e-4)


def test_a_clip_that_cannot_be_pooled_is_named(tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, np.full(2_000, 0.1), 16_000)
    with pytest.raises(DataError, match=r"short\.wav: .*at least 0\.5 s"):
        pool([[Clip(path, "spoof")]], tmp_path / "pool", jobs=1)
