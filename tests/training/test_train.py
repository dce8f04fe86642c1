"""What can't be trained as asked is refused in one line that says what to do, not in a traceback."""

import sys
from pathlib import Path

import pytest

from training import apart, familiar, fuse, soup, train

NOWHERE = ["--data", "/nowhere"]


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")


def refusal(monkeypatch: pytest.MonkeyPatch, command: object, arguments: list[str]) -> str:
    monkeypatch.setattr(sys, "argv", ["command", *arguments])
    with pytest.raises(SystemExit) as left:
        command.main()  # type: ignore[attr-defined]
    assert isinstance(left.value.code, str) and "\n" not in left.value.code
    return left.value.code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "epochs=x"], "epochs is 'x'; expected a whole number"),
        (["--set", "lr"], "lr is ''; expected a number"),
        (["--set", "epoks=3"], "Unknown settings epoks"),
        (["--set", "size=huge"], "size is 'huge'; expected one of base, tiny"),
        (NOWHERE, "/nowhere does not exist; expected a protocol file"),
    ],
)
def test_training_says_what_it_expects(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said in refusal(monkeypatch, train, arguments)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (fuse, ["--encoder", "lost", "--small", "lost"]),
        (soup, ["--runs", "lost", "lost"]),
        (familiar, ["--run", "lost"]),
        (apart, ["--run", "lost"]),
    ],
)
def test_a_run_that_is_not_there_is_named(
    command: object, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refusal(monkeypatch, command, [*arguments, *NOWHERE])
    assert "No run 'lost' with a checkpoint.pt" in said and "make ui" in said
