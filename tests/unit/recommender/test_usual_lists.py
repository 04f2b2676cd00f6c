"""The usual answer in one function is the one that the general way gives."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from services.recommender.api.rest_answers import RestAnswers
from services.recommender.api.usual_lists import UsualLists
from services.recommender.domain.activations import Activation, ActiveGenerations
from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.domain.recipes import POPULARITY, USER
from services.recommender.serving.experiments import Experiments
from services.recommender.serving.live_lists import LiveLists
from services.recommender.serving.precomputed import _ANSWERS as COUNTERS
from services.recommender.serving.precomputed import PrecomputedRecommendations
from services.recommender.store.exposures import AnswerFacts
from services.recommender.store.lists import ListLookup
from services.recommender.store.visitor_states import VisitorState
from shared.experiments import Experiment, Variant
from tests.unit.recommender.placement_shop import GENERATION, ITEMS, TENANT, Shop, States, ranked

ITEM = st.sampled_from(ITEMS)
CASES = st.fixed_dictionaries(
    {
        "listed": st.lists(ITEM, unique=True, max_size=12),
        "score": st.sampled_from([None, 1, 0.5, 1e-7, 1e22]),
        "unknown": st.booleans(),
        "purchased": st.sets(ITEM, max_size=3),
        "withdrawn": st.sets(ITEM, max_size=3),
        "overridden": st.sampled_from([False, False, True]),
        "source": st.sampled_from([b"redis", b"redis", b"postgres", b""]),
        "newest": st.sampled_from([None, 0.0, 4e9]),
        "is_live": st.booleans(),
        "is_active": st.sampled_from([True, True, False]),
        "strategy": st.sampled_from(["", None, USER, POPULARITY, "unknown"]),
        "user": st.sampled_from(["u1", 'ü "\\']),
        "limit": st.integers(1, 10),
    }
)


class Reads:
    """The stores: one list, which is read once for an answer."""

    def __init__(self, shop: Shop, case: dict[str, Any]) -> None:
        self.count = 0
        self._shop = shop
        self._case = case

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shop, name)

    async def look_up(
        self, _tenant: str, generation: int | None, recipe: str, list_id: str, *_: Any, **options: Any
    ) -> ListLookup:
        is_there = recipe == USER and generation is not None
        if is_there:
            self.count += 1
            assert list_id == self._case["user"]
        source, newest = self._case["source"], self._case["newest"]
        listed = [(item, self._case["score"]) for item in self._case["listed"]]
        if self._case["unknown"] and listed:
            listed[-1] = ("nowhere", 0.25)
        if not source:
            return ListLookup()
        newest = newest if options.get("with_newest_event") else None
        purchased = {*self._case["purchased"]}
        return ListLookup(listed if is_there else [], purchased, source, None, newest)


class Recorder:
    """Keeps the facts of each answer."""

    def __init__(self) -> None:
        self.recorded: list[Any] = []

    def rest(self, *facts: Any, scores: Any = None) -> bytes:
        # The general way names the session and the scores by their places.
        self.recorded.append((facts[:8], facts[8:10] or (None, scores)))
        return b"RID-1"


class Running:
    """The running experiment of the tenant, if there is one."""

    is_read = True
    change = 1

    def __init__(self, strategy: str | None) -> None:
        self.experimenting = set() if strategy == "" else {TENANT}
        self._experiment = None
        if strategy != "":
            variants = (Variant(name="a", strategy=strategy), Variant(name="b", strategy=strategy))
            definition = {"tenant": TENANT, "name": "test", "version": 3, "surface": "recommendations"}
            state = {"traffic": 1.0, "salt": "s", "status": "running", "created_at": datetime.now(UTC)}
            self._experiment = Experiment.model_validate({**definition, **state, "variants": variants})

    def on(self, _tenant: str, surface: str) -> list[Experiment]:
        return [] if self._experiment is None or surface != "recommendations" else [self._experiment]


class Exposures:
    """Collects exposures."""

    def __init__(self) -> None:
        self.added: list[Any] = []

    def add(
        self, experiment: Experiment, variant: Variant, unit: str, answer: bytes, *, facts: AnswerFacts
    ) -> None:
        self.added.append((experiment.name, variant.name, unit, orjson.loads(answer), facts.fallback))


def a_shop(case: dict[str, Any]) -> Shop:
    shop = Shop()
    shop.popular = {"all": ranked(*range(20))}
    shop.state = VisitorState()
    if case["overridden"]:
        shop.override("i7", 0.7)
    if case["is_live"]:
        shop.deploy(USER, "user")
    for item_id in case["withdrawn"]:
        shop.withdraw(item_id)
    return shop


class World:
    """The general way and the usual one over the same shop."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.shop = a_shop(case)
        self.reads, self.recorder, self.exposures = Reads(self.shop, case), Recorder(), Exposures()
        store, states = cast("Any", self.reads), cast("Any", States(self.shop))
        active = ActiveGenerations()
        recipes = (USER, POPULARITY) if case["is_active"] else (POPULARITY,)
        active.activate(TENANT, Activation(1, dict.fromkeys(recipes, GENERATION)))
        live = LiveLists(store, self.shop.parts.recommender, states, states, ErasedUsers())
        precomputed = PrecomputedRecommendations(store, store, store, active, store, store, live, store)
        experiments = Experiments(cast("Any", Running(case["strategy"])), cast("Any", self.exposures))
        recorder = cast("Any", self.recorder)
        self.answers = RestAnswers(
            *(precomputed, self.shop.parts.recommender, cast("Any", None), store),
            *(experiments, recorder, cast("Any", None)),
        )
        self.usual = UsualLists(self.answers, store, active, store, live, store, experiments, recorder)


@settings(max_examples=300, deadline=None)
@given(CASES)
async def test_both_ways_give_one_answer(case: dict[str, Any]) -> None:
    results = []
    for is_usual in (True, False):
        world, counted = World(case), [counter._value.get() for counter in COUNTERS.values()]
        arguments = (TENANT, case["user"], case["limit"])
        if is_usual:
            message = await world.usual.message(*arguments, b"HEAD\r\n")
        else:
            message = (await world.answers.for_user(*arguments, None, USER)).message(b"HEAD\r\n")
        counts = [
            after._value.get() - before for after, before in zip(COUNTERS.values(), counted, strict=True)
        ]
        results.append((message, world.recorder.recorded, world.exposures.added, counts, world.reads.count))

    usual, general = results
    assert usual == general
    assert usual[4] <= 1


async def test_the_usual_request_does_not_take_the_general_way() -> None:
    listed = {"listed": [*ITEMS[:6]], "score": 0.5, "unknown": False, "source": b"redis", "newest": 0.0}
    left_out = {"purchased": {"i1"}, "withdrawn": set(), "overridden": False}
    for is_live, strategy in itertools.product((True, False), ("", None)):
        more = {"is_live": is_live, "strategy": strategy, "is_active": True, "user": "u1", "limit": 5}
        world = World({**listed, **left_out, **more})
        world.usual._answers = cast("Any", None)

        message = await world.usual.message(TENANT, "u1", 5, b"")

        shown = [
            row["product_id"] for row in orjson.loads(message.partition(b"\r\n\r\n")[2])["recommendations"]
        ]
        assert shown == ["i0", "i2", "i3", "i4", "i5"]
