"""Evaluation of a detector whose verdicts are known: three of four right in each class, one inconclusive."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from serving import score as score_module
from serving.detector import Detector
from serving.verdict import ConfidenceMap
from training import evaluate, judging, plots
from training.datasets import protocol
from training.metrics import Interval
from training.tables import markdown, table

Report = dict[str, Any]


@pytest.fixture(scope="module")
def out(loud_model: Path, loud_protocol: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "evaluation"
    arguments = ["--protocol", str(loud_protocol), "--out", str(folder), "--model", str(loud_model)]
    assert evaluate.main(arguments) == 0
    return folder


@pytest.fixture(scope="module")
def report(out: Path) -> Report:
    return json.loads((out / "metrics.json").read_text())


def test_figures_are_those_worked_out_by_hand(report: Report) -> None:
    total = report["overall"]
    # LLR 2 ln(RMS^2) + 12 is positive from an RMS of 0.05: r4 is a false alarm, s4 a miss, s2 about 0.
    assert (total["bonafide"], total["spoof"]) == (4, 4)
    assert total["false_alarm"] == total["real_called_fake"] == 0.25
    assert total["fake_called_real"] == 0.25
    assert total["inconclusive"] == 1 / 8
    # Pairs out of order: s2 under r4, and s4 under r2, r3, r4.
    assert total["auc"] == pytest.approx(12 / 16)
    assert total["eer"] == 0.25
    assert total["interval"]["auc"][0] <= total["auc"] <= total["interval"]["auc"][1]


def test_a_source_has_an_auc_only_where_it_holds_both_labels(report: Report) -> None:
    assert {name for name, row in report["sources"].items() if "auc" in row} == {"studio"}
    assert report["within_source"] == {"sources": 1, "mean_auc": 1.0, "worst": "studio", "worst_auc": 1.0}
    assert report["sources"]["street"]["real_called_fake"] == 0.5
    assert report["sources"]["street"]["miss"] is None


def test_attacks_stand_hardest_first_and_against_all_real_clips(report: Report) -> None:
    assert list(report["attacks"]) == ["bark", "vits"]
    assert report["attacks"]["bark"]["auc"] == pytest.approx(5 / 8)
    assert report["attacks"]["vits"]["auc"] == pytest.approx(7 / 8)
    assert report["attacks"]["bark"]["sources"] == ["lab"]


def test_known_and_unknown_generators_are_told_apart(
    loud_detector: Detector, loud_protocol: Path, tmp_path: Path
) -> None:
    clips = protocol.read_file(loud_protocol, "test")
    learnt = [clip for clip in clips if clip.attack == "vits"]
    report, _ = evaluate.measure(loud_detector, clips, "loud", learnt)
    assert report["familiarity"]["known in training"]["auc"] == report["attacks"]["vits"]["auc"]
    assert report["familiarity"]["unknown in training"]["auc"] == report["attacks"]["bark"]["auc"]
    assert "unknown in training" in markdown(report)
    assert "unknown in training" not in markdown(evaluate.measure(loud_detector, clips, "loud")[0])


def test_scores_are_those_of_the_scoring_command(
    out: Path, loud_model: Path, loud_protocol: Path, tmp_path: Path
) -> None:
    assert (
        score_module.main(
            ["--model", str(loud_model), "--protocol", str(loud_protocol), "--out", str(tmp_path / "s")]
        )
        == 0
    )
    theirs = {
        row["file"]: row for row in csv.DictReader(io.StringIO((tmp_path / "s").read_text()), delimiter="\t")
    }
    ours = list(csv.DictReader(io.StringIO((out / "scores.tsv").read_text()), delimiter="\t"))
    assert len(ours) == len(theirs) == 8
    for row in ours:
        other = theirs[Path(row["file"]).name]
        assert (row["llr"], row["verdict"]) == (other["llr"], other["verdict"])


def test_plots_and_table_are_written_whole(out: Path) -> None:
    files = {path.name for path in out.iterdir()}
    assert files == {
        "metrics.json", "table.md", "scores.tsv", "det.png", "scores.png", "reliability.png", "attacks.png"
    }  # fmt: skip
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in files if name.endswith(".png"))


def test_the_table_names_model_data_and_worst_source(out: Path, report: Report) -> None:
    text = (out / "table.md").read_text()
    assert "loudness 7" in text
    assert "test.tsv (8 clips)" in text
    assert "smoke model" in text
    assert "| EER | 25.0 % |" in text
    assert "| street | 2 | 0 | – | 50.0 % | – |" in text


def test_a_clip_that_cannot_be_scored_is_named_and_the_rest_is_measured(
    loud_model: Path, loud_protocol: Path, tmp_path: Path
) -> None:
    (loud_protocol.parent / "broken.wav").write_bytes(b"no sound")
    bad = loud_protocol.with_name("bad.tsv")
    bad.write_text(loud_protocol.read_text() + "broken.wav\tspoof\tvits\tlab\tunknown\n")
    arguments = ["--protocol", str(bad), "--out", str(tmp_path / "out"), "--model", str(loud_model)]
    assert evaluate.main(arguments) == 1
    report = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [Path(path).name for path in report["not_scored"]] == ["broken.wav"]
    assert report["overall"]["spoof"] == 4


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--protocol", "gone.tsv"], "gone.tsv does not exist"),
        (["--protocol", "real.tsv"], "of one class"),
        (["--protocol", "test.tsv", "--model", "gone.onnx"], "gone.onnx"),
    ],
)
def test_what_cannot_be_measured_is_said_and_nothing_is_written(
    arguments: list[str], complaint: str, loud_model: Path, loud_protocol: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(loud_protocol.parent)
    Path("real.tsv").write_text("file\tlabel\nr1.wav\tbonafide\n")
    model = [] if "--model" in arguments else ["--model", str(loud_model)]
    assert evaluate.main([*arguments, *model, "--out", str(tmp_path / "out")]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_report_of_python_and_of_json_agree(
    loud_detector: Detector, loud_protocol: Path, report: Report
) -> None:
    measured, _ = evaluate.measure(
        loud_detector, protocol.read_file(loud_protocol, "test"), "test.tsv (8 clips)"
    )
    assert json.loads(json.dumps(judging.finite(measured))) == report | {"date": measured["date"]}
    assert markdown(measured).count("\n| --- |") == 3


def test_a_bar_in_a_cell_does_not_break_the_table() -> None:
    assert table(("a",), [("x|y",)]).splitlines()[-1] == "| x\\|y |"


SCORES, SPOOF = np.array([-3.0, -1.0, 0.5, 2.0]), np.array([False, True, False, True])


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.scores(SCORES, SPOOF, 0.0, [-1, 1]),
        lambda: plots.scores(np.zeros(2), np.array([True, False])),
        lambda: plots.det(SCORES, SPOOF),
        lambda: plots.det_of({f"system {number}": (SCORES, SPOOF) for number in range(9)}),
        lambda: plots.reliability(SCORES, SPOOF),
        lambda: plots.bars(
            "Attacks", "EER", [("a", Interval(0.2, 0.1, 0.3)), ("b", Interval(0.3, 0.3, 0.3))]
        ),
        lambda: plots.bars("Attacks", "EER", []),
        lambda: plots.confidence_map(
            np.zeros(16_000),
            16_000,
            ConfidenceMap(0.6, np.zeros(2), np.array([0.5, 0.9])),
            [(0, 0.5, 1, 0.7)],
            [(0, 0.4)],
        ),
    ],
)
def test_every_plot_can_be_drawn(draw: Callable[[], Figure], tmp_path: Path) -> None:
    plots.save(draw(), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000
