"""The page of operations says what the code answers, and nothing of AWS is left out silently."""

from __future__ import annotations

from services.engine.personalize.operations import TABLE
from tests.contract.documents import ROOT, documents
from tests.contract.operations import names

PAGE = ROOT / "docs" / "operations.md"


def test_the_committed_page_is_what_the_code_says() -> None:
    assert PAGE.read_bytes() == documents()[PAGE], "run `make contracts` and commit the change"


def test_no_operation_of_another_service_is_in_the_table() -> None:
    assert set(TABLE) <= set(names("personalize"))


def test_events_and_runtime_answer_or_decline_every_operation() -> None:
    for line in PAGE.read_text().split("## Events")[1].splitlines():
        assert "| not implemented |" not in line, line
