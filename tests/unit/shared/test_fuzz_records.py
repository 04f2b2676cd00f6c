"""Any record is decoded or undecodable, and a decoded one can be stored and encoded again."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from random import Random

import pytest
from pydantic import BaseModel

from shared.events import Event
from shared.events.topics import Topic
from shared.kafka.records import Decoder, Tombstone, Undecodable, encoded
from tests.support.fuzz import INPUTS, SEED
from tests.support.fuzz.records import FuzzedRecord, contracts, records

RECORDS_SHARE = 0.3
"""Of the inputs of a run; the rest are HTTP requests."""

_TRACE = f"00-{'1' * 32}-{'2' * 16}-00"
_EACH = round(INPUTS * RECORDS_SHARE / len(contracts()))


@pytest.mark.parametrize(
    ("topic", "event"), contracts(), ids=lambda one: getattr(one, "__name__", None) or one.name
)
def test_every_bad_record_is_undecodable_and_nothing_else(topic: Topic, event: type[BaseModel]) -> None:
    decoder, outcomes = Decoder(topic), Counter[str]()

    for record in islice(records(topic, event, Random(f"{SEED} {topic.name} {event.__name__}")), _EACH):
        try:
            decoded = decoder.decode(record)
        except Undecodable as refused:
            outcomes[refused.reason] += 1
            continue
        except Exception as error:
            raise AssertionError(f"{error!r} (seed {SEED})\n{record.described()}") from error
        outcomes["decoded"] += 1
        if isinstance(decoded, Event):
            _require_storable(decoder, decoded, record)
        else:
            assert isinstance(decoded, Tombstone | BaseModel)

    assert outcomes["decoded"] > 0
    assert outcomes["invalid"] + outcomes["not_json"] > 0


def _require_storable(decoder: Decoder, event: Event, record: FuzzedRecord) -> None:
    try:
        written = encoded(event, "test", _TRACE)
    except Exception as error:
        raise AssertionError(f"it can't be written: {error!r} (seed {SEED})\n{record.described()}") from error
    assert b"\\u0000" not in (written.value or b""), f"seed {SEED}\n{record.described()}"
    again = decoder.decode(FuzzedRecord(record.topic, written.key, written.value, written.headers))
    assert isinstance(again, Event)
    # An infinite number in a document is written as null, so the events themselves may differ once.
    assert encoded(again, "test", _TRACE) == written, f"seed {SEED}\n{record.described()}"
