"""Record what each answer contained, under a new recommendationId.

On the path of the answer that is an id and an entry in a list. Its JSON is made later, from the rows.

See docs/decisions/0038-servings.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import orjson

from services.recommender.serving.recommendation import History
from services.recommender.serving.served_lists import encode_list
from services.recommender.store.serving_counters import ServingCounters
from services.recommender.store.servings import Servings, partition_for
from shared.aws.personalize.recommendation_ids import RecommendationIds

if TYPE_CHECKING:
    from services.recommender.serving.placements.candidates import PlacementAnswer
    from services.recommender.serving.recommendation import Recommended, ServedVariant
    from services.recommender.serving.served_lists import ServedItems
    from services.recommender.serving.targets import Target
    from services.recommender.settings import Settings
    from shared.kafka import Publisher

PLACEMENT_SOURCE: Final = "placement/"
"""Before the name of a placement, the source of an id: no campaign has such a name."""

_ALGORITHM: Final = b'"algorithm":'


class AnswerRecorder:
    """Makes the ids of answers, and records the answers."""

    def __init__(self, servings: Servings, ids: RecommendationIds) -> None:
        self.servings = servings
        self._ids = ids

    @classmethod
    def of(cls, publisher: Publisher, settings: Settings) -> Self:
        """Return a recorder whose `servings` are published with `publisher`."""
        counters = ServingCounters(settings.state_folder)
        servings = Servings(publisher, counters, settings.servings_bytes)
        return cls(servings, RecommendationIds(settings.recommendation_key))

    def rest(  # noqa: PLR0917 - facts of an answer
        self,
        tenant: str,
        user_id: str | None,
        target: str,
        rows: Sequence[bytes],
        source: bytes,
        generation: int | None,
        request: Mapping[str, Any],
        variant: ServedVariant | None = None,
        session_id: str | None = None,
    ) -> bytes:
        """Return the id of a REST answer by the lists of a recipe; `rows` are its JSON objects."""
        subject = user_id or session_id or ""
        partition = partition_for(tenant, subject)
        now = int(time.time() * 1000)
        id_ = self._ids.new(tenant, target, partition, now)
        facts = (id_, now, user_id, target, rows, source, generation, request, variant, session_id)
        self.servings.add(tenant, subject, partition, _rest, facts)
        return id_.encode()

    def scored(
        self,
        target: Target,
        surface: Literal["rest", "runtime"],
        user_id: str | None,
        arn: str,
        recommended: Recommended,
        request: Mapping[str, Any],
        variant: ServedVariant | None = None,
    ) -> str:
        """Return the id of an answer of a campaign, recommender or recipe, which `arn` named."""
        subject = user_id or ""
        partition = partition_for(target.tenant, subject)
        now = int(time.time() * 1000)
        id_ = self._ids.new(target.tenant, target.name, partition, now)
        facts = (id_, now, target, surface, user_id, arn, recommended, request, variant)
        self.servings.add(target.tenant, subject, partition, _scored, facts)
        return id_

    def listed(
        self,
        tenant: str,
        surface: Literal["rest", "graphql"],
        user_id: str | None,
        target: str,
        served: ServedItems,
        source: bytes,
        generation: int | None,
        request: Mapping[str, Any],
    ) -> str:
        """Return the id of an answer that is a list of items and scores."""
        subject = user_id or ""
        partition = partition_for(tenant, subject)
        now = int(time.time() * 1000)
        id_ = self._ids.new(tenant, target, partition, now)
        facts = (id_, now, surface, user_id, target, served, source, generation, request)
        self.servings.add(tenant, subject, partition, _listed, facts)
        return id_

    def placement(
        self,
        answer: PlacementAnswer,
        variant: ServedVariant | None = None,
        surface: Literal["placement", "graphql"] = "placement",
    ) -> str:
        """Return the id of a placement's answer."""
        request = answer.request
        tenant, subject = request.tenant, request.subject or ""
        partition = partition_for(tenant, subject)
        now = int(time.time() * 1000)
        id_ = self._ids.new(tenant, PLACEMENT_SOURCE + request.placement, partition, now)
        self.servings.add(tenant, subject, partition, _placement, (id_, now, answer, variant, surface))
        return id_


def _rest(  # noqa: PLR0917 - the facts of `AnswerRecorder.rest`
    id_: str,
    now: int,
    user_id: str | None,
    target: str,
    rows: Sequence[bytes],
    source: bytes,
    generation: int | None,
    request: Mapping[str, Any],
    variant: ServedVariant | None,
    session_id: str | None,
) -> bytes:
    """Return the JSON of a serving; ids and algorithms are taken from the JSON of the rows."""
    serving: dict[str, Any] = {
        "recommendation_id": id_,
        "served_at": _instant(now),
        "surface": "rest",
        "user_id": user_id,
        "target": target,
        "item_ids": orjson.Fragment(_product_ids(rows)),
        "strategies": orjson.Fragment(_algorithms(rows, target)),
        "source": source.decode(),
        "generation": generation,
        "request": request,
    }
    if session_id is not None:
        serving["session_id"] = session_id
    _add(serving, variant, None)
    return orjson.dumps(serving)


def _scored(  # noqa: PLR0917 - the facts of `AnswerRecorder.scored`
    id_: str,
    now: int,
    target: Target,
    surface: str,
    user_id: str | None,
    arn: str,
    recommended: Recommended,
    request: Mapping[str, Any],
    variant: ServedVariant | None,
) -> bytes:
    serving: dict[str, Any] = {
        "recommendation_id": id_,
        "served_at": _instant(now),
        "surface": surface,
        "user_id": user_id,
        "target": arn,
        "item_ids": [item.item_id for item in recommended.items],
        "strategies": [target.name] if recommended.items else [],
        "source": recommended.source.decode(),
        "generation": recommended.generation,
        "model_sha256": None if recommended.history is None else target.model_sha256,
        "request": {name: value for name, value in request.items() if value},
    }
    _add(serving, variant, recommended.history)
    return orjson.dumps(serving)


def _listed(id_: str, now: int, *facts: Any) -> bytes:
    return encode_list(id_, _instant(now), *facts)


def _placement(
    id_: str, now: int, answer: PlacementAnswer, variant: ServedVariant | None, surface: str
) -> bytes:
    request = answer.request
    serving: dict[str, Any] = {
        "recommendation_id": id_,
        "served_at": _instant(now),
        "surface": surface,
        "user_id": request.user_id,
        "session_id": request.session_id,
        "placement": request.placement,
        "revision": answer.revision,
        "item_ids": [item.item_id for item in answer.items],
        "strategies": [item.strategy for item in answer.items],
        "source": answer.source.decode(),
        "generation": answer.generation,
        "model_sha256": answer.model_sha256,
        "rules": list(dict.fromkeys(each.step for each in answer.dropped)),
        "request": {
            name: value
            for name, value in (
                ("item_id", request.item_id),
                ("cart", request.cart),
                ("category", request.category),
                ("city", request.city),
                ("province", request.province),
                ("country", request.country),
                ("limit", request.limit),
                ("shown", [*request.shown]),
            )
            if value
        },
    }
    _add(serving, variant, History(answer.history_events, answer.newest_event_seconds))
    return orjson.dumps(serving)


def _add(serving: dict[str, Any], variant: ServedVariant | None, history: History | None) -> None:
    if variant is not None:
        serving["experiment"], serving["experiment_version"], serving["variant"] = variant
    if history is not None:
        serving["history_events"] = history.events
        if history.newest_seconds is not None:
            serving["newest_event_at"] = datetime.fromtimestamp(history.newest_seconds, UTC)


def _instant(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _product_ids(rows: Sequence[bytes]) -> bytes:
    """Return the JSON array of the ids in rows, each of which begins with `{"product_id":"`."""
    if not rows:
        return b"[]"
    ids = b'","'.join([row.split(b'"', 4)[3] for row in rows])
    if b"\\" in ids:  # an id has a quotation mark, a backslash or a control character
        return orjson.dumps([orjson.loads(row)["product_id"] for row in rows])
    return b'["%b"]' % ids


def _algorithms(rows: Sequence[bytes], target: str) -> bytes:
    """Return the JSON array of the rows' algorithms, "" for none; one entry if all have that of the target.

    A list goes on with other algorithms, and never returns to the first one.
    """
    if not rows:
        return b"[]"
    name, end = _row_end(target)
    if rows[-1].endswith(end) and rows[0].endswith(end):
        return name
    return b"[%b]" % b",".join(map(_algorithm, rows))


@lru_cache(maxsize=1024)
def _row_end(target: str) -> tuple[bytes, bytes]:
    """Return the JSON array of a recipe's name, and the end of the rows that it chose."""
    name = orjson.dumps(target)
    return b"[%b]" % name, b"%b%b}" % (_ALGORITHM, name)


def _algorithm(row: bytes) -> bytes:
    """Return the JSON string after `"algorithm":`, which is the last member of a row."""
    algorithm = row[row.rindex(_ALGORITHM) + len(_ALGORITHM) : -1]
    return b'""' if algorithm == b"null" else algorithm
