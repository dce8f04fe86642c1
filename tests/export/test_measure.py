"""Scores of versions meet on the same clips, wherever the corpus lies and however it is spelt."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from export.bundle import MODEL
from export.measure import common, score, splits_of
from export.promotion import Desk, promote
from export.release import measured
from serving.detector import Detector
from tests.export.conftest import RegisterTiny
from tests.export.test_promotion import GOOD
from training.datasets import DataError, NoSplit, read


@pytest.fixture
def model(desk: Desk, register: RegisterTiny) -> Path:
    promote(desk, register(), GOOD, "")
    return desk.folder / MODEL


def test_scores_of_a_relative_and_an_absolute_path_meet(
    model: Path, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = model.read_bytes()
    one = score(content, "a", read(tones, "dev"), tmp_path / "cache")
    shutil.copytree(tones, tmp_path / "elsewhere" / "tones")
    monkeypatch.chdir(tmp_path / "elsewhere")
    other = score(content, "b", read(Path("tones"), "dev"), tmp_path / "cache")
    ours, theirs, spoof = common(one, other)
    assert len(ours) == 48 and spoof.sum() == 24
    np.testing.assert_array_equal(ours, theirs)


def test_data_that_cannot_be_read_is_no_missing_split(model: Path, tones: Path, tmp_path: Path) -> None:
    content, manifest = model.read_bytes(), Detector.open(model).manifest
    with pytest.raises(DataError, match="does not exist"):
        measured(manifest, content, tmp_path / "mistyped", tmp_path)
    shutil.copytree(tones, tmp_path / "tones")
    next((tmp_path / "tones").glob("dev*.wav")).unlink()
    for work in (lambda data: measured(manifest, content, data, tmp_path), splits_of):
        with pytest.raises(DataError, match="1 are not there"):
            work(tmp_path / "tones")


def test_a_corpus_with_one_split_is_measured_on_that(model: Path, tones: Path, tmp_path: Path) -> None:
    shutil.copytree(tones, tmp_path / "tones")
    (tmp_path / "tones" / "dev.tsv").unlink()
    manifest = measured(Detector.open(model).manifest, model.read_bytes(), tmp_path / "tones", tmp_path)
    assert [entry["split"] for entry in manifest.metrics] == ["test"]
    (tmp_path / "tones" / "test.tsv").rename(tmp_path / "tones" / "train.tsv")
    with pytest.raises(NoSplit, match="dev, test"):
        splits_of(tmp_path / "tones")


def test_a_split_of_one_label_is_refused_before_anything_is_scored(tones: Path, tmp_path: Path) -> None:
    shutil.copytree(tones, tmp_path / "tones")
    protocol = tmp_path / "tones" / "dev.tsv"
    head, *rows = protocol.read_text().splitlines()
    protocol.write_text("\n".join([head, *(row for row in rows if "spoof" not in row)]) + "\n")
    with pytest.raises(DataError, match=r"Split dev .* only bonafide clips"):
        splits_of(tmp_path / "tones")
