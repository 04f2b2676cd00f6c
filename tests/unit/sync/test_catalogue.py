"""What was said later wins, field by field, whichever order it arrives in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sync.domain.catalogue import (
    MAX_RECORD_BYTES,
    MAX_STATE_BYTES,
    State,
    StateTooLarge,
    item_changed,
    put_time,
    to_microseconds,
    user_changed,
)
from shared.errors import Permanent
from shared.events import UserPut
from shared.events.fields import MOST_PROPERTIES, MOST_PROPERTY_BYTES
from shared.kafka import encoded
from shared.outbox import MAX_EVENT_BYTES
from tests.unit.sync.catalogue_states import NOON, an_item_put, put_into

puts = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(["name", "category"]), st.sampled_from("abc"), max_size=2),
        st.dictionaries(st.sampled_from(["colour", "name"]), st.integers(0, 3), max_size=2),
    ),
    max_size=6,
)


def merged(puts: list[tuple[dict[str, Any], dict[str, Any], int]]) -> State:
    state = State("a", is_new=True)
    for fields, attributes, at in puts:
        state.put(fields, attributes, at)
    return state


@given(puts=puts, data=st.data())
def test_the_state_does_not_depend_on_the_order_of_arrival(puts: list[Any], data: st.DataObject) -> None:
    timed = [(fields, attributes, at) for at, (fields, attributes) in enumerate(puts)]
    shuffled = data.draw(st.permutations(timed))

    assert merged(shuffled).fields == merged(timed).fields
    assert merged(shuffled).attributes == merged(timed).attributes


@given(puts=puts)
def test_the_same_puts_again_change_nothing(puts: list[Any]) -> None:
    timed = [(fields, attributes, at) for at, (fields, attributes) in enumerate(puts)]
    known = merged(timed)
    repeated = State("a", known.fields, known.attributes, known.times)

    for fields, attributes, at in timed:
        repeated.put(fields, attributes, at)

    assert not repeated.is_changed
    assert not repeated.has_updates


def test_a_field_that_is_only_confirmed_is_kept_in_mind_but_not_published() -> None:
    state = State("a", {"name": "Cup"}, {}, {"name": 1})

    state.put({"name": "Cup"}, {}, 5)

    assert state.has_updates
    assert not state.is_changed
    assert state.times == {"name": 5}


def test_a_new_item_is_published_even_when_nothing_is_said_of_it() -> None:
    assert State("a", is_new=True).is_changed


def test_putitems_spellings_find_their_fields() -> None:
    state = put_into(
        an_item_put(
            title="Cup", CATEGORY_L1="Kitchen", Price="2.5", CREATION_TIMESTAMP=1772366400, Colour="red"
        )
    )

    assert state.fields == {"name": "Cup", "category": "Kitchen", "price": 2.5, "created_at": NOON}
    assert state.attributes == {"Colour": "red"}


def test_users_spellings_find_their_fields() -> None:
    put = UserPut(
        event_id="e", tenant="t", occurred_at=NOON, user_id="u", fields={"state": "Styria", "age": 4}
    )

    state = put_into(put)
    assert (state.fields, state.attributes) == ({"province": "Styria"}, {"age": 4})


def test_null_takes_a_field_back_but_never_the_availability() -> None:
    state = put_into(an_item_put(name=None, available=None))
    assert (state.fields, state.attributes) == ({"name": None}, {})


@pytest.mark.parametrize(
    "fields",
    [{"price": "cheap"}, {"price": True}, {"price": "nan"}, {"available": "perhaps"}, {"name": ["x"]},
     {"created_at": "soon"}, {"created_at": "9999-12-31T23:59:59-14:00"}, {"created_at": True},
     {"price": 1e39}],
)  # fmt: skip
def test_a_value_that_can_be_no_fields_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Permanent, match=next(iter(fields))):
        put_into(an_item_put(**fields))


def test_a_clock_that_runs_ahead_does_not_win_for_ever() -> None:
    put = an_item_put().model_copy(update={"occurred_at": NOON + timedelta(days=400)})

    assert put_time(put, NOON) == to_microseconds(NOON + timedelta(minutes=5))


def test_events_carry_the_whole_state_and_an_id_of_its_times() -> None:
    state = merged([({"name": "Cup", "price": None}, {"colour": "red"}, 3)])

    event = item_changed("default", state, NOON)
    repeated = item_changed("default", state, NOON + timedelta(1))
    second = item_changed("default", merged([({"name": "Cup"}, {}, 4)]), NOON)

    assert (event.key, event.name, event.price, event.available) == ("default:a", "Cup", None, True)
    assert event.attributes == {"colour": "red"}
    assert event.event_id == repeated.event_id != second.event_id
    assert user_changed("default", merged([({"city": "Graz"}, {}, 1)]), NOON).city == "Graz"


def test_a_put_that_would_make_a_state_too_large_changes_nothing() -> None:
    state = State("a", is_new=True)
    for number in range(5):
        state.put({}, {f"p{number}": "x" * 99_000}, number)
    before = dict(state.attributes), dict(state.times)

    with pytest.raises(StateTooLarge, match=r"'a' would have 511,\d+ bytes of properties"):
        state.put({"name": "Cup"}, {"p5": "x" * 16_000}, 9)
    state.put({"name": "Cup"}, {"p4": "short"}, 10)

    assert (state.attributes, state.times.keys() - {"name"}) == ({**before[0], "p4": "short"}, set(before[1]))
    assert state.fields == {"name": "Cup"}


def test_a_state_that_is_too_large_already_may_become_smaller_and_not_larger() -> None:
    state = State("a", {}, {f"p{number}": "x" * 90_000 for number in range(9)}, {})

    state.put({}, {"p0": ""}, 1)

    with pytest.raises(StateTooLarge):
        state.put({}, {"p0": "xx"}, 2)
    assert state.attributes["p0"] == ""


def test_a_property_and_their_number_have_limits() -> None:
    state = State("a", {}, {str(number): 1 for number in range(MOST_PROPERTIES)}, {})

    with pytest.raises(StateTooLarge, match="1,001 properties"):
        state.put({}, {"another": 1}, 1)
    with pytest.raises(StateTooLarge, match="'7' of 'a' has"):
        state.put({}, {"7": "x" * MOST_PROPERTY_BYTES}, 1)
    state.put({}, {"7": 2}, 1)

    assert state.attributes["7"] == 2


storable = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40)


@given(puts=st.lists(st.dictionaries(storable, storable | st.floats(allow_nan=False) | st.lists(storable))))
def test_the_size_of_a_state_is_that_of_its_event(puts: list[dict[str, Any]]) -> None:
    state = State("a", is_new=True)
    for at, attributes in enumerate(puts):
        state.put({"name": f"Cup {at}"}, attributes, at)
    repeated = State("a", state.fields, state.attributes, state.times)

    size = repeated._checked_size({}, {})

    event = item_changed("shop", state, NOON)
    assert size == (state._bytes or 0)
    assert abs(len(encoded(event, "sync", "").value or b"") - size) < 300


def test_the_largest_state_fits_into_a_record() -> None:
    assert MAX_STATE_BYTES + MOST_PROPERTY_BYTES + MAX_RECORD_BYTES < MAX_EVENT_BYTES
