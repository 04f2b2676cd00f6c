"""The state of an import: every refused row is counted, the first ones are kept."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.sync.domain.imports import Import, Reject
from services.sync.domain.limits import Limits

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def an_import() -> Import:
    return Import("i", "shop", "orders", "f.csv", "request", "b", "k", None, 1, NOON)


@given(
    chunks=st.lists(st.lists(st.text(max_size=30), max_size=6), max_size=6),
    rows=st.integers(0, 12),
    size=st.integers(0, 200),
)
def test_refused_rows_are_kept_in_order_until_there_is_no_room(
    chunks: list[list[str]], rows: int, size: int
) -> None:
    import_, limits = an_import(), Limits(max_kept_rejects=rows, max_kept_reject_bytes=size)
    rejects = [[Reject(1, "bad", "why", raw) for raw in chunk] for chunk in chunks]

    kept = [reject for chunk in rejects for reject in import_.add_rejects(chunk, limits)]

    every = [reject for chunk in rejects for reject in chunk]
    assert kept == every[: len(kept)]
    assert len(kept) <= rows
    assert sum(reject.size for reject in kept) <= size
    assert import_.rows_rejected == import_.reasons.get("bad", 0) == len(every)
    assert import_.rejects_kept == len(kept)
    if len(kept) < min(rows, len(every)):
        assert sum(reject.size for reject in every[: len(kept) + 1]) > size


def test_an_import_that_begins_again_keeps_its_rejects_anew() -> None:
    import_, limits = an_import(), Limits(max_kept_rejects=1)
    import_.add_rejects([Reject(2, "bad", "why", "raw")], limits)

    import_.restart()

    assert import_.reject_capacity(limits) == (1, limits.max_kept_reject_bytes)
