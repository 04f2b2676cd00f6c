"""`make bench` goes on behind a benchmark that fails, and says so at its end."""

from __future__ import annotations

import pytest

from tests.load.__main__ import NAMES, main, measure
from tests.load.figures import Figure


def fails() -> list[Figure]:
    raise RuntimeError("Kafka is not there")


def test_the_others_go_on_behind_one_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    status = measure({"first": fails, "second": lambda: [Figure("answers", 7.0, "s")]})

    printed = capsys.readouterr().out
    assert status == 1
    assert "| answers | 7 s" in printed
    assert printed.rstrip().endswith("first failed: RuntimeError('Kafka is not there')")
    assert "Traceback" in printed


def test_all_that_succeed_are_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert measure({"only": lambda: [Figure("answers", 7.0, "s")]}) == 0
    assert "failed" not in capsys.readouterr().out


def test_an_unknown_name_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pipelin"]) == 2
    assert ", ".join(NAMES) in capsys.readouterr().err
