"""Records of a dataset replace the record before them and nothing of the shop's own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.sync.domain.catalogue import State, item_changed, merge_put, to_microseconds
from shared.events import ItemPut
from shared.kafka import encoded
from shared.outbox import MAX_EVENT_BYTES
from tests.unit.sync.catalogue_states import NOON, an_item_put, put_into


def a_record(minute: int, fields: dict[str, Any], **columns: Any) -> ItemPut:
    return an_item_put(**fields).model_copy(
        update={"columns": columns, "occurred_at": NOON - timedelta(hours=1) + timedelta(minutes=minute)}
    )


def item_update(minute: int) -> int:
    return to_microseconds(NOON - timedelta(hours=1) + timedelta(minutes=minute))


def test_a_record_replaces_the_record_before_it_and_nothing_of_the_shop_s_own() -> None:
    state = State("a", is_new=True)
    state.put({"name": "Cup", "price": 4.0}, {"Colour": "red"}, item_update(1))

    merge_put(state, a_record(2, {"price": 5}, promoted="Y", stock=7), NOON)
    both = dict(state.fields), dict(state.attributes)
    merge_put(state, a_record(3, {}, stock=8), NOON)

    assert both == ({"name": "Cup", "price": 5.0}, {"Colour": "red", "promoted": "Y", "stock": 7})
    assert (state.fields, state.attributes) == (
        {"name": "Cup", "price": 4.0},
        {"Colour": "red", "stock": 8},
    )


def test_of_a_record_and_the_shop_s_own_word_the_later_one_holds() -> None:
    state = put_into(a_record(2, {"price": 5}, colour="red"))

    state.put({"price": 4.0}, {"Colour": "blue"}, item_update(1))
    earlier = state.fields["price"], dict(state.attributes)
    state.put({"price": 6.0}, {"Colour": "green"}, item_update(3))

    assert earlier == (5.0, {"colour": "red"})
    assert (state.fields["price"], state.attributes) == (6.0, {"Colour": "green"})


def test_spellings_of_one_attribute_in_any_order_leave_the_same_state() -> None:
    record = a_record(2, {}, colour=0)
    states = []
    for spellings in ((("colour", 1), ("Colour", 3)), (("Colour", 3), ("colour", 1))):
        state = put_into(record)
        for name, minute in spellings:
            state.put({}, {name: 0}, item_update(minute))
        states.append(state.attributes)

    assert states == [{"Colour": 0}, {"Colour": 0}]


steps = st.lists(
    st.tuples(
        st.booleans(),
        st.dictionaries(st.sampled_from(["name", "category"]), st.sampled_from("abc"), max_size=2),
        st.dictionaries(st.sampled_from(["colour", "Colour", "size"]), st.integers(0, 3), max_size=2),
    ),
    max_size=6,
)


@given(steps=steps, data=st.data())
def test_with_records_too_the_state_does_not_depend_on_the_order_of_arrival(
    steps: list[Any], data: st.DataObject
) -> None:
    def after(order: list[tuple[int, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
        state = State("a", is_new=True)
        for minute, (is_record, fields, attributes) in order:
            if is_record:
                merge_put(state, a_record(minute, fields, **attributes), NOON)
            else:
                state.put(fields, attributes, item_update(minute))
        return state.fields, state.attributes

    timed = list(enumerate(steps))
    assert after(data.draw(st.permutations(timed))) == after(timed)


@given(steps=steps)
def test_the_same_records_again_change_nothing(steps: list[Any]) -> None:
    records = [a_record(minute, fields, **attributes) for minute, (_, fields, attributes) in enumerate(steps)]
    known = put_into(*records)
    repeated = State("a", known.fields, known.attributes, known.times, known.record)

    for record in records:
        merge_put(repeated, record, NOON)

    assert not repeated.is_changed


def test_a_state_that_has_no_room_for_more_takes_a_record_all_the_same() -> None:
    """The tracker has accepted it: what the shop's own sources said is bounded apart from it."""
    state = State("a", is_new=True)
    for number in range(5):
        state.put({}, {f"p{number}": "x" * 99_000}, number)
    largest = {f"r{number}": "👍" * 8_000 for number in range(4)}

    merge_put(state, a_record(1, {"name": "Cup"}, **largest), NOON)

    event = item_changed("shop", state, NOON)
    assert event.attributes.keys() == {f"p{n}" for n in range(5)} | largest.keys()
    assert len(encoded(event, "sync", "").value or b"") < MAX_EVENT_BYTES
