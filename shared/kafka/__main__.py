"""Kafka from the command line: create the topics, replay dead letters."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

import structlog

from shared.errors import EndcapError
from shared.events.topics import TOPICS
from shared.kafka.grants import grants
from shared.kafka.replay import replay
from shared.kafka.topics import make_topics
from shared.settings import KafkaSettings


def main() -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m shared.kafka", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    topics = commands.add_parser(
        "topics", help="create the topics of the registry, and check those that exist"
    )
    topics.add_argument("--patience", type=float, default=30, help="seconds to wait for Kafka")
    topics.add_argument(
        "--grants", action="store_true", help="also grant each service's user its rights in the registry"
    )
    replaying = commands.add_parser("replay", help="publish dead letters to their topics again")
    replaying.add_argument("topic", help="a dead-letter topic, such as orders-v1-tracker-dlq")
    replaying.add_argument("--limit", type=int, help="the largest number of letters to replay")
    arguments = parser.parse_args()
    # An error is printed in one sentence below, which must not drown in what the clients log.
    logging.disable()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    settings = KafkaSettings()
    try:
        if arguments.command == "topics":
            made = asyncio.run(
                make_topics(
                    settings,
                    TOPICS,
                    rights=grants(TOPICS) if arguments.grants else (),
                    replication=settings.kafka_replication_factor,
                    patience=arguments.patience,
                )
            )
            sys.stdout.write(f"topics: {', '.join(made) if made else 'all there'}\n")
        else:
            done = asyncio.run(replay(settings, arguments.topic, arguments.limit))
            sys.stdout.write(f"{arguments.topic}: {done} replayed\n")
    except EndcapError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
