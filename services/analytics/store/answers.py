"""Answers and what was seen, clicked and converted of their items, as bits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from services.analytics.domain.facts import Mark
from services.analytics.domain.figures import Answer, Changes, add_answer, add_bits, packed, unpacked
from services.analytics.store.sql import SQL, columns

if TYPE_CHECKING:
    from shared.postgres import Connection

AnswerKey = tuple[str, str]
"""(tenant, recommendation id)."""


async def add_answers(connection: Connection, answers: Sequence[Answer], changes: Changes) -> set[AnswerKey]:
    """Store and count the answers that are new; return their keys."""
    if not answers:
        return set()
    rows = await connection.fetch(
        *SQL.add_servings(
            tenants=[answer.tenant for answer in answers],
            ids=[answer.recommendation_id for answer in answers],
            times=[answer.served_at for answer in answers],
            series_ids=[answer.series_id for answer in answers],
            item_ids=[tuple(answer.item_ids) for answer in answers],
            item_series=[tuple(answer.item_series) for answer in answers],
            fallbacks=[answer.is_fallback for answer in answers],
            sources=[answer.source for answer in answers],
        )
    )
    new = {(row["tenant"], row["recommendation_id"]) for row in rows}
    for answer in answers:
        if (answer.tenant, answer.recommendation_id) in new:
            add_answer(changes, answer)
    return new


async def take_early_marks(connection: Connection, keys: Collection[AnswerKey]) -> list[Mark]:
    """Return the marks that came before these answers, and delete them."""
    rows = await connection.fetch(*SQL.take_early_marks(**columns("tenants ids", sorted(keys))))
    return [Mark(*row) for row in rows]


async def mark_items(connection: Connection, marks: Iterable[Mark], changes: Changes) -> None:
    """Mark items as seen or clicked; keep marks of answers that are not known yet. A repetition adds nothing.

    A clicked item counts as seen too.
    """
    by_answer: dict[AnswerKey, dict[str, bool]] = {}
    for mark in marks:
        items = by_answer.setdefault((mark.tenant, mark.recommendation_id), {})
        items[mark.item_id] = mark.clicked or items.get(mark.item_id, False)
    if not by_answer:
        return
    answers = await _answers(connection, by_answer)
    changed = []
    for key, answer in answers.items():
        after = _marked(answer, by_answer.pop(key))
        if after != answer:
            add_bits(changes, answer, after)
            changed.append(after)
    await _set_bits(connection, changed)
    early = [
        (*key, item_id, clicked)
        for key, items in sorted(by_answer.items())
        for item_id, clicked in sorted(items.items())
    ]
    if early:
        await connection.execute(*SQL.add_early_marks(**columns("tenants ids item_ids clicked", early)))


async def update_conversions(connection: Connection, keys: Collection[AnswerKey], changes: Changes) -> None:
    """Set which items of answers were converted: those that a purchase is attributed to."""
    if not keys:
        return
    parameters = columns("tenants ids", sorted(keys))
    converted: dict[AnswerKey, int] = dict.fromkeys(keys, 0)
    for row in await connection.fetch(*SQL.converted_positions(**parameters)):
        converted[row["tenant"], row["recommendation_id"]] |= 1 << row["position"]
    changed = []
    for key, answer in (await _answers(connection, keys)).items():
        after = answer._replace(converted=converted[key])
        if after != answer:
            add_bits(changes, answer, after)
            changed.append(after)
    await _set_bits(connection, changed)


def answer_of(row: Mapping[str, Any]) -> Answer:
    """Return an answer as a row stores it."""
    bits = (unpacked(row[name]) for name in ("seen", "clicked", "converted"))
    return Answer(
        row["tenant"],
        row["recommendation_id"],
        row["served_at"],
        row["series_id"],
        row["item_ids"],
        row["item_series"],
        row["is_fallback"],
        row["source"],
        *bits,
    )


async def _answers(connection: Connection, keys: Iterable[AnswerKey]) -> dict[AnswerKey, Answer]:
    rows = await connection.fetch(*SQL.servings_by_id(**columns("tenants ids", sorted(keys))))
    return {(row["tenant"], row["recommendation_id"]): answer_of(row) for row in rows}


def _marked(answer: Answer, items: Mapping[str, bool]) -> Answer:
    """Return the answer with the bits of these items; items that it does not contain are left out."""
    seen, clicked = answer.seen, answer.clicked
    positions: dict[str, int] = {}
    for position, item_id in enumerate(answer.item_ids):
        positions.setdefault(item_id, position)
    for item_id, is_clicked in items.items():
        if item_id in positions:
            bit = 1 << positions[item_id]
            seen |= bit
            clicked |= bit if is_clicked else 0
    return answer._replace(seen=seen, clicked=clicked)


async def _set_bits(connection: Connection, answers: Sequence[Answer]) -> None:
    if answers:
        rows = [
            (each.tenant, each.recommendation_id, *map(packed, (each.seen, each.clicked, each.converted)))
            for each in answers
        ]
        await connection.execute(*SQL.set_bits(**columns("tenants ids seen clicked converted", rows)))
