"""Users who are being erased: unknown to models, and their earlier events are left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.recommender.domain.erased_users import ErasedUsers
from shared.events import InteractionRecorded
from tests.support.erasures import erasure

AT = datetime(2026, 11, 28, tzinfo=UTC)


def event(user: str | None, session: str | None, after: int, **fields: Any) -> InteractionRecorded:
    at = AT + timedelta(seconds=after)
    defaults = {"tenant": "default", "event_type": "view", "received_at": at, "item_id": "i"} | fields
    return InteractionRecorded(
        event_id=f"{user}-{session}-{after}", user_id=user, session_id=session, occurred_at=at, **defaults
    )


def test_only_earlier_events_of_erased_subjects_are_left_out() -> None:
    erased_users, request = ErasedUsers(), erasure("u1", occurred_at=AT, session_ids=("s1",))
    erased_users.apply(request.key, request)
    before = [event("u1", None, 0), event(None, "s1", -1), event("u1", "s9", -5), event("u2", "s1", -1)]
    other_events = [event("u2", "s2", -1), event("u1", None, -1, tenant="another")]
    later = [event("u1", "s1", 1), event(None, "s1", 1)]

    assert erased_users.without_erased([*before, *other_events, *later]) == [*other_events, *later]


def test_models_do_not_know_a_user_during_the_erasure() -> None:
    erased_users, request = ErasedUsers(), erasure("u1", occurred_at=AT)
    erased_users.apply(request.key, request)

    assert erased_users.model_user_id("default", "u1") == ""
    assert erased_users.model_user_id("default", "u2") == "u2"
    assert erased_users.model_user_id("another", "u1") == "u1"
    assert erased_users.model_user_id("default", None) is None

    erased_users.apply(request.key, None)
    assert erased_users.model_user_id("default", "u1") == "u1"
    assert erased_users.without_erased([event("u1", None, -1)])


def test_a_second_erasure_of_a_user_replaces_the_first() -> None:
    erased_users = ErasedUsers()
    for session, seconds in (("s1", 0), ("s2", 10)):
        request = erasure("u1", occurred_at=AT + timedelta(seconds=seconds), session_ids=(session,))
        erased_users.apply(request.key, request)

    assert [
        kept.session_id for kept in erased_users.without_erased([event(None, "s1", -1), event(None, "s2", 9)])
    ] == ["s1"]


def test_a_clients_clock_that_is_ahead_does_not_carry_an_event_over_the_erasure() -> None:
    erased_users, request = ErasedUsers(), erasure("u1", occurred_at=AT)
    erased_users.apply(request.key, request)
    received_before = event("u1", None, 240, received_at=AT - timedelta(seconds=1))
    received_later = event("u1", None, 240, received_at=AT + timedelta(seconds=1))

    assert erased_users.without_erased([received_before, received_later]) == [received_later]
