"""A head fitted to features that were computed before."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from training import probe as fitted
from training.batches import JOINED
from training.config import PRESETS
from training.encoder import EncoderNet
from training.models import build

CONFIG = replace(PRESETS["encoder"], size="tiny", layers=0, hidden=32)


def features(width: int) -> fitted.Features:
    """Real clips, and spoofs of two generators: some axes tell the labels apart, others the generators."""
    draws = torch.Generator().manual_seed(0)
    kind = torch.randint(3, (600,), generator=draws)
    statistics = 0.3 * torch.randn(600, width, generator=draws)
    statistics[:, :40] += (kind > 0)[:, None]
    statistics[:, 40:80] += (kind == 2)[:, None]
    return fitted.Features(statistics.half(), (kind > 0).float(), kind, torch.zeros(1, width))


def fit(monkeypatch: pytest.MonkeyPatch, found: fitted.Features, kinds: float) -> tuple[Tensor, Tensor]:
    """Logits and hidden units of the features after a short fit."""
    torch.manual_seed(0)
    network = build(CONFIG.as_dict()).network
    assert isinstance(network, EncoderNet)
    monkeypatch.setattr(fitted, "measured", lambda *_: found)
    monkeypatch.setattr(fitted, "STEPS", 40)
    fitted.probe(network, iter(()), replace(CONFIG, probe_kinds=kinds))
    units = network.eval().head.window[: fitted.HIDDEN](found.statistics.float()).detach()
    return network.head.window[fitted.HIDDEN :](units)[:, 0].detach(), units


def apart(units: Tensor, kind: Tensor) -> float:
    """How far the hidden units of the two generators lie apart, by their spread."""
    first, second = units[kind == 1], units[kind == 2]
    return float((first.mean(0) - second.mean(0)).norm() / (first.std(0).norm() + second.std(0).norm()))


def test_the_head_learns_the_labels_and_with_kinds_the_generators_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = features(CONFIG.statistics * 384)
    plain, plain_units = fit(monkeypatch, found, 0.0)
    logits, units = fit(monkeypatch, found, 1.0)
    for one in (plain, logits):
        assert one[found.spoof > 0].min() > one[found.spoof == 0].max()
    assert apart(units, found.kind) > 1.25 * apart(plain_units, found.kind)


def test_what_has_no_name_is_not_asked_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = features(CONFIG.statistics * 384)
    unnamed = replace(found, kind=torch.where(found.kind == 2, JOINED, found.kind))
    logits, _ = fit(monkeypatch, unnamed, 1.0)
    assert torch.isfinite(logits).all() and logits[found.kind == 2].min() > logits[found.spoof == 0].max()
