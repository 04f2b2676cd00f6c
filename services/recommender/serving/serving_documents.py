"""The JSON of servings: the facts of an answer, as `shared.events.Serving` is encoded.

It is made of plain bytes: a model of pydantic would take as long as the answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from services.recommender.serving.recommendation import History
from services.recommender.serving.served_lists import encode_list

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import ItemScores
    from services.recommender.serving.placements.candidates import Candidate, PlacementAnswer
    from services.recommender.serving.placements.shadows import ShadowFacts
    from services.recommender.serving.recommendation import Recommendation, Recommended, ServedVariant
    from services.recommender.serving.targets import Target

_ALGORITHM: Final = b'"algorithm":'
_SCORE: Final = b'"score":'

_OF_REQUEST: Final = ("item_id", "cart", "category", "city", "province", "country", "limit")
"""The parameters of a request for a placement that have no field of their own."""

_REST: Final = (
    b'{"recommendation_id":"%b","served_at":"%b","surface":"rest","user_id":%b,"target":%b,'
    b'"item_ids":%b,"strategies":%b,"source":"%b","generation":%b,"request":%b%b}'
)


def rest_document(  # noqa: PLR0917 - the facts of `AnswerRecorder.rest`
    id_: bytes,
    milliseconds: int,
    user_id: str | None,
    target: str,
    rows: Sequence[bytes],
    source: bytes,
    generation: int | None,
    request: Mapping[str, Any],
    variant: ServedVariant | None,
    session_id: str | None,
    scores: ItemScores | None,
) -> bytes:
    """Return the JSON of an answer of lists; ids and algorithms are taken from the JSON of the rows."""
    name, row_end = _of_target(target)
    selected = _first_items(rows, scores)
    more = b"" if session_id is None else b',"session_id":%b' % orjson.dumps(session_id)
    if variant is not None:
        more += _of_variant(variant)
        if variant.propensity is not None:
            more += b',"scores":%b' % _scores(rows, selected)
    return _REST % (
        id_,
        _instant(milliseconds),
        orjson.dumps(user_id),
        name,
        _item_ids(rows, selected),
        _algorithms(rows, name, row_end),
        source,
        b"null" if generation is None else b"%d" % generation,
        orjson.dumps(request),
        more,
    )


def scored_document(  # noqa: PLR0917 - the facts of `AnswerRecorder.scored`
    id_: str,
    milliseconds: int,
    target: Target,
    surface: str,
    user_id: str | None,
    arn: str,
    recommended: Recommended,
    request: Mapping[str, Any],
    variant: ServedVariant | None,
) -> bytes:
    """Return the JSON of an answer of a campaign, recommender or recipe."""
    serving: dict[str, Any] = {
        "recommendation_id": id_,
        "served_at": _instant(milliseconds).decode(),
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
    _add(serving, variant, recommended.history, recommended.items)
    return orjson.dumps(serving)


def listed_document(id_: str, milliseconds: int, *facts: Any) -> bytes:
    """Return the JSON of an answer that is a list of items and scores."""
    return encode_list(id_, _instant(milliseconds).decode(), *facts)


def placement_document(
    id_: str,
    milliseconds: int,
    answer: PlacementAnswer,
    variant: ServedVariant | None,
    surface: str,
    shadow: ShadowFacts | None = None,
) -> bytes:
    """Return the JSON of a placement's answer."""
    request, items = answer.request, answer.items
    serving: dict[str, Any] = {
        "recommendation_id": id_,
        "served_at": _instant(milliseconds).decode(),
        "surface": surface,
        "placement": request.placement,
        "item_ids": [item.item_id for item in items],
        "strategies": [item.strategy for item in items],
        "source": answer.source.decode(),
        "request": {name: value for name in _OF_REQUEST if (value := getattr(request, name))},
    }
    if request.user_id is not None:
        serving["user_id"] = request.user_id
    if request.session_id is not None:
        serving["session_id"] = request.session_id
    for name in ("revision", "generation", "model_sha256"):
        serving[name] = getattr(answer, name)
    if request.shown:
        serving["request"]["shown"] = [*request.shown]
    if answer.dropped:
        serving["rules"] = list(dict.fromkeys([each.step for each in answer.dropped]))
    if shadow is not None:
        serving["shadow"] = shadow._asdict()
    _add(serving, variant, History(answer.history_events, answer.newest_event_seconds), items)
    return orjson.dumps(serving)


def _add(
    serving: dict[str, Any],
    variant: ServedVariant | None,
    history: History | None,
    items: Sequence[Recommendation] | Sequence[Candidate],
) -> None:
    if variant is not None:
        serving |= _members(variant)
        if variant.propensity is not None:
            serving["scores"] = [item.score for item in items]
    if history is not None:
        serving["history_events"] = history.events
        if history.newest_seconds is not None:
            serving["newest_event_at"] = datetime.fromtimestamp(history.newest_seconds, UTC)


def _members(variant: ServedVariant) -> dict[str, Any]:
    """Return the members of a serving that say which variant answered."""
    name, version, variant_name, propensity, picked_by = variant
    members: dict[str, Any] = {
        "experiment": name,
        "experiment_version": version,
        "variant": variant_name,
    }
    if propensity is not None:
        members["propensity"] = propensity
    if picked_by:
        members["picked_by"] = picked_by
    return members


@lru_cache(maxsize=1024)
def _of_variant(variant: ServedVariant) -> bytes:
    """Return the same as JSON, after a comma."""
    return b"," + orjson.dumps(_members(variant))[1:-1]


def _instant(milliseconds: int) -> bytes:
    seconds, rest = divmod(milliseconds, 1000)
    return b"%b.%03dZ" % (_second(seconds), rest)


@lru_cache(maxsize=4)
def _second(seconds: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode()


def _first_items(rows: Sequence[bytes], scores: ItemScores | None) -> ItemScores | None:
    """Return the first n items of the list from which n rows were selected; None if the rows are others.

    `scores` is the list, which has an item once. If the last of n rows is the n-th item of the list, all rows
    are its first n items.
    """
    if rows and scores is not None and len(scores) >= len(rows):
        last = orjson.dumps(scores[len(rows) - 1][0])
        if rows[-1].startswith(b'{"product_id":%b,' % last):
            return scores[: len(rows)]
    return None


def _item_ids(rows: Sequence[bytes], selected: ItemScores | None) -> bytes:
    """Return the JSON array of the ids in rows, each of which begins with `{"product_id":"`.

    `selected` are the same items, if they are known.
    """
    if not rows:
        return b"[]"
    if selected is not None:
        return orjson.dumps([item_id for item_id, _ in selected])
    ids = b'","'.join([row.split(b'"', 4)[3] for row in rows])
    if b"\\" in ids:  # an id has a quotation mark, a backslash or a control character
        return orjson.dumps([orjson.loads(row)["product_id"] for row in rows])
    return b'["%b"]' % ids


def _algorithms(rows: Sequence[bytes], name: bytes, row_end: bytes) -> bytes:
    """Return the JSON array of the rows' algorithms, "" for none; one entry if all have that of the target.

    A list goes on with other algorithms, and never returns to the first one.
    """
    if not rows:
        return b"[]"
    if rows[-1].endswith(row_end) and rows[0].endswith(row_end):
        return b"[%b]" % name
    return b"[%b]" % b",".join(map(_algorithm, rows))


@lru_cache(maxsize=1024)
def _of_target(target: str) -> tuple[bytes, bytes]:
    """Return a recipe's name as JSON, and the end of the rows that it chose."""
    name = orjson.dumps(target)
    return name, b"%b%b}" % (_ALGORITHM, name)


def _scores(rows: Sequence[bytes], selected: ItemScores | None) -> bytes:
    """Return the JSON array of the scores in rows; `selected` are the same items, if they are known."""
    if selected is not None:
        return orjson.dumps([score for _, score in selected])
    return b"[%b]" % b",".join(map(_score, rows))


def _score(row: bytes) -> bytes:
    """Return the JSON number after `"score":`, or null; no string of a row contains that text."""
    begin = row.rindex(_SCORE) + len(_SCORE)
    return row[begin : row.index(b",", begin)]


def _algorithm(row: bytes) -> bytes:
    """Return the JSON string after `"algorithm":`, which is the last member of a row."""
    algorithm = row[row.rindex(_ALGORITHM) + len(_ALGORITHM) : -1]
    return b'""' if algorithm == b"null" else algorithm
