"""A real encoder as the teacher: its opinion is that of its own forward pass."""

import pytest
import torch

from training import teacher
from training.config import PRESETS
from training.models import build


def test_a_teacher_says_what_its_network_says(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = build(PRESETS["encoder"].as_dict()).network.eval()
    monkeypatch.setattr(teacher, "checkpoint", lambda _: {})
    monkeypatch.setattr(teacher, "network_of", lambda _: network)
    waveform = torch.randn(3, PRESETS["encoder"].window_samples) * 0.1
    with torch.no_grad():
        expected = torch.sigmoid(network(waveform)[0][:, 0])
    found = teacher.Teacher("any")(waveform)
    assert found.shape == (3,)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)  # its trunk runs in bfloat16
