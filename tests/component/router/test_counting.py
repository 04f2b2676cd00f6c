"""Which units an event is an outcome of: users, sessions, and visitors who log in."""

from __future__ import annotations

from typing import Any

import pytest

from shared.events import UserErasureRequested
from shared.events.topics import INTERACTIONS
from tests.component.router.counting import counting
from tests.support.waiting import eventually

AA = {"name": "same", "surface": "recommendations", "variants": [{"name": "a"}, {"name": "b"}]}


async def test_every_buyer_counts_whichever_ids_events_carry(world: Any) -> None:
    """Half of them were once lost, depending on which of an event's two units was kept.

    A third of the purchases name user and session, a third the user, and a third the session of a login.
    """
    users = [f"u{n}" for n in range(24)]
    async with world.router() as caller:
        await caller.post("/v1/experiments", json=AA, headers=world.admin)
        await caller.post("/v1/experiments/same/start", headers=world.admin)
        await world.expose(*users)
        both = [world.purchase(user, session_id=f"web-{user}") for user in users]
        logins = [
            each.model_copy(update={"event_id": each.event_id[::-1], "event_type": "view"}) for each in both
        ]
        one_id = [{}, {"session_id": None}, {"user_id": None}]
        bought = [each.model_copy(update=one_id[number % 3]) for number, each in enumerate(both)]

        async def result() -> list[int]:
            variants = (await caller.get("/v1/experiments/same", headers=world.admin)).json()["variants"]
            types = [each["events"].get("purchase", {"events": 0, "units": 0}) for each in variants]
            return [
                sum(each["exposed"] for each in variants),
                sum(each["events"] for each in types),
                sum(each["units"] for each in types),
            ]

        # A worker, and another one to which everything comes again, with a last event to know the end by.
        for _ in range(2):
            last = world.purchase("stranger")
            async with world.worker():
                await world.publish(INTERACTIONS, *logins, *bought, last)

                async def recorded(event_id: str = last.event_id) -> bool:
                    rows = await world.sql("SELECT event_id FROM router.outcomes")
                    return event_id in {row["event_id"] for row in rows}

                await eventually(recorded)
                await eventually(result, enough=lambda counts: counts[0] == counts[1] == 24)
                assert await result() == [24, 24, 24]


async def test_a_visitor_who_logs_in_is_the_unit_that_was_exposed(world: Any) -> None:
    async with counting(world) as shop:
        await shop.expose("s1", 1)
        await shop.expose("s2", 1, "b")
        await shop.expose("u3", 1, "b")
        events = [
            # In the session that was exposed, now with a user.
            shop.event("purchase", 2, "u1", "s1"),
            # A login in the exposed session; the purchase is made in another one.
            shop.event("view", 2, "u2", "s2"),
            shop.event("purchase", 3, "u2", "phone"),
            # Exposed as a user, and bought without a login in a session that was the user's before.
            shop.event("impression", 2, "u3", "s3"),
            shop.event("purchase", 3, None, "s3"),
            # Whoever was exposed to nothing.
            shop.event("purchase", 3, "u4", "s4"),
        ]
        for batch in (events, events[::-1], *([event] for event in events)):
            await shop.did(*batch, *batch)
            assert await shop.purchases() == {"a": (1, 1, 2.5), "b": (2, 2, 5.0)}


async def test_the_order_of_records_does_not_matter(world: Any) -> None:
    async with counting(world) as shop:
        await shop.did(shop.event("purchase", 3, "u1", "phone"))
        await shop.did(shop.event("view", 2, "u1", "s1"))
        await shop.did(shop.event("view", 4, "u2", "s1"))  # only the first login of a session ties
        await shop.did(shop.event("purchase", 5, "u2", "tablet"))
        await shop.expose("s1", 1)

        assert await shop.purchases() == {"a": (1, 1, 2.5)}


async def test_an_event_counts_once_for_each_variant_of_its_user(world: Any) -> None:
    async with counting(world) as shop:
        for unit, variant in (("s1", "a"), ("s2", "a"), ("u1", "a"), ("s3", "b")):
            await shop.expose(unit, 1, variant)
        logins = [shop.event("view", 2, "u1", session) for session in ("s1", "s2", "s3")]
        await shop.did(*logins, shop.event("purchase", 3, "u1", "s1"))

        assert await shop.purchases() == {"a": (1, 3, 2.5), "b": (1, 1, 2.5)}
        assert await shop.crossed() == 1


async def test_a_login_from_before_the_experiment_links_an_exposed_session(world: Any) -> None:
    async with counting(world) as shop:
        await world.sql(
            "INSERT INTO tracker.interactions (tenant, event_id, user_id, session_id, event_type, source, "
            "occurred_at, received_at, historical, fingerprint) "
            "VALUES ($1, $2, $3, 's1', 'view', 'events', $4, $4, false, 0)",
            *((shop.tenant, f"e{n}", user, shop.at(n - 9000)) for n, user in enumerate((None, "u1", "u2"))),
        )
        await shop.expose("s1", 1)
        await shop.did(shop.event("purchase", 2, "u1", "phone"), shop.event("purchase", 2, "u2", "phone"))

        assert await shop.purchases() == {"a": (1, 1, 2.5)}


@pytest.mark.parametrize(("exposed_at", "purchases"), [(1.4, {"a": (1, 1, 2.5)}), (2.0, {})])
async def test_an_event_in_whole_seconds_may_be_of_the_second_in_which_its_unit_was_exposed(
    world: Any, exposed_at: float, purchases: dict[str, Any]
) -> None:
    """The AWS SDKs send `sentAt` without a fraction."""
    async with counting(world) as shop:
        await shop.expose("u1", exposed_at)
        await shop.did(shop.event("purchase", 1, "u1", "s1"), shop.event("purchase", 1.3, "u1", "s1"))

        assert await shop.purchases() == purchases


async def test_events_in_other_sessions_count_only_for_users_who_take_part(world: Any) -> None:
    async with counting(world, traffic=0.5) as shop:
        experiment = await shop.experiments.get(shop.tenant, "same")
        inside = next(f"s{n}" for n in range(99) if experiment.takes_part(f"s{n}"))
        user, phone, stranger = [f"x{n}" for n in range(99) if not experiment.takes_part(f"x{n}")][:3]
        await shop.expose(inside, 1)
        await shop.did(shop.event("view", 2, user, inside))
        await shop.did(shop.event("view", 3, user, phone), shop.event("view", 3, stranger, "x-none"))
        bought = [
            shop.event("purchase", 4, user, phone),
            shop.event("purchase", 5, None, phone),
            shop.event("purchase", 6, stranger),
        ]
        await shop.did(*bought)

        assert await shop.purchases() == {"a": (2, 1, 5.0)}
        rows = await world.sql("SELECT unit FROM router.outcomes WHERE event_type = 'purchase'")
        assert {row["unit"] for row in rows} == {user, phone}


async def test_earlier_outcomes_are_completed_when_their_events_are_delivered_again(world: Any) -> None:
    """Earlier releases stored one row, for one of an event's two units."""
    async with counting(world) as shop:
        await shop.expose("u1", 1)
        bought = shop.event("purchase", 2, "u1", "s1")
        await world.sql(
            "INSERT INTO router.outcomes (tenant, experiment, version, event_id, unit, event_type, value, "
            "occurred_at) VALUES ($1, 'same', 1, $2, 's1', 'purchase', 2.5, $3)",
            (shop.tenant, bought.event_id, bought.occurred_at),
        )
        assert await shop.purchases() == {}

        await shop.did(bought)

        assert await shop.purchases() == {"a": (1, 1, 2.5)}


async def test_an_erased_visitor_who_had_logged_in_still_counts_without_names(world: Any) -> None:
    async with counting(world) as shop:
        await shop.expose("s1", 1)
        await shop.did(shop.event("view", 2, "u1", "s1"), shop.event("purchase", 3, "u1", "phone"))
        request = UserErasureRequested(
            event_id="e",
            tenant=shop.tenant,
            occurred_at=shop.at(60),
            erasure_id="erasure",
            user_id="u1",
            session_ids=("s1", "phone"),
        )
        for _ in range(2):
            await shop.handlers.erasures_requested([request])
        # What was on its way meanwhile.
        await shop.did(shop.event("view", 4, "u1", "s1"), shop.event("purchase", 4, "u1", "s9"))

        assert await shop.purchases() == {"a": (1, 1, 2.5)}
        rows = await world.sql(
            "SELECT unit AS name FROM router.exposed_units UNION ALL SELECT unit FROM router.outcomes "
            "UNION ALL SELECT session_id FROM router.outcomes "
            "UNION ALL SELECT user_id FROM router.session_users "
            "UNION ALL SELECT session_id FROM router.session_users"
        )
        assert all(row["name"].startswith("erased:") for row in rows)
        kept = await world.sql("SELECT rows FROM router.erased_units WHERE unit = 'u1'")
        assert '"outcomes": 2' in kept[0]["rows"]


async def test_an_event_of_a_clock_that_is_ahead_loses_its_name_too(world: Any) -> None:
    async with counting(world) as shop:
        await shop.expose("u1", 1)
        ahead = shop.event("purchase", 240, "u1", "phone").model_copy(update={"received_at": shop.at(3)})
        await shop.did(ahead)
        request = UserErasureRequested(
            event_id="e",
            tenant=shop.tenant,
            occurred_at=shop.at(60),
            erasure_id="erasure",
            user_id="u1",
            session_ids=("phone",),
        )
        await shop.handlers.erasures_requested([request])
        await shop.did(ahead.model_copy(update={"event_id": "replayed"}))

        assert await shop.purchases() == {"a": (1, 1, 2.5)}
        rows = await world.sql(
            "SELECT unit AS name FROM router.outcomes UNION ALL SELECT session_id FROM router.outcomes "
            "UNION ALL SELECT user_id FROM router.session_users "
            "UNION ALL SELECT session_id FROM router.session_users"
        )
        assert len(rows) == 4
        assert all(row["name"].startswith("erased:") for row in rows)
