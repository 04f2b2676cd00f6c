"""After the other tests of the product: every consumer and every state topic has had its records."""

from __future__ import annotations

import pytest

from shared.events.topics import TOPICS, Topic
from shared.kafka import committed, end_offsets
from shared.kafka.offsets import offsets
from tests.load.bench_tracker import SPARE_TOPIC
from tests.support.kafka import settings_for
from tests.support.shop import Shop
from tests.support.waiting import eventually


def _edges() -> list[tuple[Topic, str]]:
    return [(topic, consumer) for topic in TOPICS for consumer in sorted(topic.consumers)]


@pytest.mark.parametrize(("topic", "consumer"), _edges(), ids=lambda value: getattr(value, "name", value))
async def test_every_edge_of_the_diagram_was_crossed(shop: Shop, topic: Topic, consumer: str) -> None:
    """The consumer's group has handled records of the topic, up to its end."""
    settings = settings_for(shop.endcap.environment)
    groups = [consumer, *(f"{consumer}-{purpose}" for purpose in PURPOSES)]

    async def handled() -> bool:
        return any([sum((await committed(settings, group, topic)).values()) > 0 for group in groups])

    ends = await end_offsets(settings, topic)

    assert sum(ends.values()) > 0, f"nobody published on {topic.name}"
    # The writer of the event lake collects records for ten seconds.
    await eventually(handled, f"{consumer} handled a record of {topic.name}", every=0.5)


PURPOSES = ("orders", "store", "users", "interactions", "exposures", "uploads", "puts", "erasures", "lake")


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic.readers], ids=lambda topic: topic.name)
async def test_every_state_topic_holds_states(shop: Shop, topic: Topic) -> None:
    settings = settings_for(shop.endcap.environment)

    assert sum((await end_offsets(settings, topic)).values()) > 0


async def test_no_record_became_a_dead_letter(shop: Shop) -> None:
    """No consumer refused a record, whatever was killed meanwhile."""
    letters = {}
    async with offsets(settings_for(shop.endcap.environment)) as reader:
        for topic, consumer in _edges():
            name = topic.dlq(consumer)
            if name == SPARE_TOPIC:
                continue
            letters[name] = sum((await reader.ends(name)).values())

    assert {name: count for name, count in letters.items() if count} == {}
