"""The wait of a run for the imports of its executions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from services.trainer.domain import Run
from services.trainer.store import ImportState
from services.trainer.worker import StepContext, import_wait
from services.trainer.worker.import_wait import ENDED_AT, IMPORTS, ImportWait
from shared.errors import Permanent, Transient

NOW = datetime.now(UTC)


class Executions:
    """Executions of a run by import, and why some failed; with `others` the run has further requests."""

    def __init__(self, *imports: str, others: bool = False) -> None:
        self.waiting, self.others = list(imports), others
        self.failed: dict[str, str] = {}

    async def imports(self, _: int) -> list[str]:
        return [each for each in self.waiting if each not in self.failed]

    async def fail_import(self, _: int, import_id: str, cause: str) -> None:
        self.failed[import_id] = cause

    async def failed_import(self, _: int) -> str | None:
        is_wanted = self.others or len(self.failed) < len(self.waiting)
        return None if is_wanted else max(self.failed.values(), default=None)


class Imports:
    """sync, with one answer after the other for each import; the last one stays."""

    def __init__(self, **states: list[ImportState | Exception]) -> None:
        self.states = states
        self.looks: list[str] = []

    async def state(self, _: str, identity: str) -> ImportState:
        self.looks.append(identity)
        answers = self.states[identity]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Reports:
    """Keeps the stored detail of the step."""

    async def report_step(self, *_: Any) -> None:
        return None


RUNNING, DONE = ImportState("running"), ImportState("done")
FAILED = ImportState("failed", "items.csv: it has no column item_id")


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_wait, "POLL_SECONDS", 0)


def a_wait(executions: Executions, imports: Imports, minutes: float = 60) -> ImportWait:
    return ImportWait(cast("Any", executions), cast("Any", imports), timedelta(minutes=minutes))


def a_context(started_at: datetime = NOW, **detail: Any) -> StepContext:
    run = Run(7, "shop", "running", ("a",), NOW, NOW)
    return StepContext(run, "wait", started_at, {"wait": detail}, cast("Any", Reports()))


async def test_a_run_goes_on_when_each_import_has_ended_whatever_sync_answers_in_between() -> None:
    context = a_context()
    imports = Imports(a=[RUNNING, Transient("sync is away"), DONE], b=[DONE])

    await a_wait(Executions("a", "b"), imports).wait(context)

    assert context.detail[IMPORTS] == {"a": "done", "b": "done"}
    assert imports.looks == ["a", "b", "a", "a"]
    assert ENDED_AT in context.detail


async def test_a_run_without_such_imports_asks_sync_nothing() -> None:
    context, imports = a_context(), Imports()
    await a_wait(Executions(), imports).wait(context)
    assert (imports.looks, context.detail) == ([], {})


async def test_a_failed_import_fails_the_run_that_nobody_else_has_asked_for() -> None:
    executions = Executions("a")

    with pytest.raises(Permanent, match=r"the import a failed: items\.csv: it has no column item_id"):
        await a_wait(executions, Imports(a=[FAILED])).wait(a_context())

    assert executions.failed == {"a": "the import a failed: items.csv: it has no column item_id"}


@pytest.mark.parametrize("executions", [Executions("a", others=True), Executions("a", "b")])
async def test_a_run_goes_on_for_others_without_a_failed_import(executions: Executions) -> None:
    context = a_context()

    await a_wait(executions, Imports(a=[FAILED], b=[DONE])).wait(context)

    assert list(executions.failed) == ["a"]
    assert context.detail[IMPORTS]["a"] == "failed"


@pytest.mark.parametrize(
    ("answer", "sentence"), [(RUNNING, "within 60 minutes$"), (Transient("sync is away"), "sync is away")]
)
async def test_an_import_without_an_end_fails_after_a_time(
    answer: ImportState | Exception, sentence: str
) -> None:
    long_ago = NOW - timedelta(minutes=61)
    with pytest.raises(Permanent, match=sentence):
        await a_wait(Executions("a"), Imports(a=[answer])).wait(a_context(long_ago))


async def test_another_worker_does_not_ask_again_for_what_has_ended() -> None:
    context = a_context(**{IMPORTS: {"a": "done"}})
    imports = Imports(b=[DONE])

    await a_wait(Executions("a", "b"), imports).wait(context)
    await a_wait(Executions("a", "b", "c"), imports).wait(context)

    assert imports.looks == ["b"]


async def test_another_worker_fails_the_run_whose_executions_an_earlier_one_has_failed() -> None:
    executions = Executions("a")
    await executions.fail_import(7, "a", "the import a failed")

    with pytest.raises(Permanent, match="the import a failed"):
        await a_wait(executions, Imports()).wait(a_context())
