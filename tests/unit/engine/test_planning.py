"""From what is there to what a file asks for: the steps, their order, and what can't be done."""

from __future__ import annotations

from typing import Any

import pytest

from services.engine.domain.declaration import Declaration
from services.engine.domain.planning import plan
from services.engine.domain.steps import AccountState, ResourceRef
from shared.errors import Permanent

AVRO = {"type": "record", "name": "Interactions", "fields": [{"name": "USER_ID", "type": "string"}]}
SHOP: dict[str, Any] = {
    "schemas": {"clicks": {"schema": AVRO}},
    "datasetGroups": {
        "shop": {
            "datasets": {"INTERACTIONS": {"name": "clicks", "schema": "clicks"}},
            "eventTracker": "web",
            "filters": {"cheap": "INCLUDE ItemID WHERE Items.PRICE < 10"},
            "solutions": {
                "for-you": {
                    "recipe": "aws-user-personalization",
                    "solutionConfig": {"autoTrainingConfig": {"schedulingExpression": "rate(7 days)"}},
                    "campaigns": {"home": {"minProvisionedTPS": 1}},
                }
            },
        }
    },
}
NOTHING = AccountState(Declaration())


def shop(**changes: Any) -> Declaration:
    """The shop, with other members of its solution."""
    group = SHOP["datasetGroups"]["shop"]
    solution = group["solutions"]["for-you"] | changes
    return Declaration.parse(
        {**SHOP, "datasetGroups": {"shop": {**group, "solutions": {"for-you": solution}}}}
    )


def lines(target: Declaration, present: AccountState) -> list[str]:
    """The plan as people read it."""
    return [str(step) for step in plan(target, present)]


def test_an_empty_account_gets_everything_in_the_order_of_its_needs() -> None:
    assert lines(shop(), NOTHING) == [
        "+ create schema clicks",
        "+ create dataset group shop",
        "+ create dataset shop/INTERACTIONS",
        "+ create event tracker web",
        "+ create filter cheap",
        "+ create solution for-you",
        "▸ train solution for-you: its first version, which home will serve",
        "+ create campaign home",
    ]


def test_what_is_there_already_needs_nothing() -> None:
    assert plan(shop(), AccountState(shop(), trained=frozenset({"for-you"}))) == []


def test_a_file_that_says_less_changes_nothing() -> None:
    little = Declaration.parse({"datasetGroups": {"shop": {}}})

    assert plan(little, AccountState(shop())) == []


def test_a_solution_with_a_version_is_not_trained_for_its_campaign() -> None:
    without = shop(campaigns={})

    [step] = plan(shop(), AccountState(without, trained=frozenset({"for-you"})))

    assert (step.sign, step.kind, step.name) == ("create", "campaign", "home")
    [(operation, arguments)] = step.calls
    assert operation == "create_campaign"
    assert arguments["solutionVersionArn"] == ResourceRef("solution", "for-you", "/$LATEST")


def test_what_may_change_is_updated() -> None:
    schedule = {"autoTrainingConfig": {"schedulingExpression": "rate(1 day)"}}
    target = shop(solutionConfig=schedule, campaigns={"home": {"minProvisionedTPS": 3}})

    solution, campaign = plan(target, AccountState(shop()))

    assert solution.calls == (
        (
            "update_solution",
            {"solutionArn": ResourceRef("solution", "for-you"), "solutionUpdateConfig": schedule},
        ),
    )
    assert campaign.calls == (
        ("update_campaign", {"campaignArn": ResourceRef("campaign", "home"), "minProvisionedTPS": 3}),
    )


def test_incremental_updates_and_event_weights_may_change_too() -> None:
    def weighted(weight: float) -> dict[str, Any]:
        return {"eventsConfig": {"eventParametersList": [{"eventType": "View", "weight": weight}]}}

    before = shop(performIncrementalUpdate=False, solutionConfig=weighted(0.1))
    [step] = plan(shop(performIncrementalUpdate=True, solutionConfig=weighted(0.2)), AccountState(before))

    arguments = {
        "solutionArn": ResourceRef("solution", "for-you"),
        "performIncrementalUpdate": True,
        "solutionUpdateConfig": weighted(0.2),
    }
    assert step.calls == (("update_solution", arguments),)
    # Where nobody said anything, they are off.
    assert plan(shop(performIncrementalUpdate=False), AccountState(shop())) == []
    created = plan(shop(performIncrementalUpdate=True), NOTHING)
    [(_, arguments)] = next(step.calls for step in created if step.kind == "solution")
    assert arguments["performIncrementalUpdate"] is True


def test_a_campaign_that_is_to_follow_its_solution_is_given_its_latest_version() -> None:
    exploring = {"itemExplorationConfig": {"explorationWeight": "0.1"}}
    following = {"syncWithLatestSolutionVersion": True}
    before = shop(campaigns={"home": {"campaignConfig": exploring}})
    target = shop(campaigns={"home": {"campaignConfig": following}})

    [step] = plan(target, AccountState(before))

    arguments = {
        "campaignArn": ResourceRef("campaign", "home"),
        "campaignConfig": exploring | following,
        "solutionVersionArn": ResourceRef("solution", "for-you", "/$LATEST"),
    }
    assert step.calls == (("update_campaign", arguments),)
    after = shop(campaigns={"home": {"campaignConfig": exploring | following}})
    assert plan(target, AccountState(after)) == []
    [back] = plan(
        shop(campaigns={"home": {"campaignConfig": {"syncWithLatestSolutionVersion": False}}}),
        AccountState(after),
    )
    assert "solutionVersionArn" not in back.calls[0][1]


def test_a_campaign_goes_over_to_another_solution_of_its_group() -> None:
    group = SHOP["datasetGroups"]["shop"]
    like = {"recipe": "aws-similar-items", "campaigns": {"home": {"minProvisionedTPS": 2}}}
    target = Declaration.parse({"datasetGroups": {"shop": {"solutions": {"like-this": like}}}})
    both = group | {"solutions": group["solutions"] | {"like-this": {"recipe": "aws-similar-items"}}}
    present = Declaration.parse({**SHOP, "datasetGroups": {"shop": both}})

    train, update = plan(target, AccountState(present))

    assert (train.sign, train.name) == ("train", "like-this")
    assert str(update) == "~ update campaign home: solution → like-this, minProvisionedTPS → 2"
    arguments = {
        "campaignArn": ResourceRef("campaign", "home"),
        "minProvisionedTPS": 2,
        "solutionVersionArn": ResourceRef("solution", "like-this", "/$LATEST"),
    }
    assert update.calls == (("update_campaign", arguments),)


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        ("filter", {"filters": {"cheap": "INCLUDE ItemID WHERE Items.PRICE < 10"}}),
        ("solution", {"solutions": {"for-you": {"recipe": "aws-sims"}}}),
        ("campaign", {"solutions": {"other": {"recipe": "aws-sims", "campaigns": {"home": {}}}}}),
    ],
)
def test_a_name_that_another_group_has_is_a_conflict(kind: str, held: dict[str, Any]) -> None:
    target = Declaration.parse({"datasetGroups": {"second": held}})

    conflicts = [step for step in plan(target, AccountState(shop())) if step.sign == "conflict"]

    assert [step.kind for step in conflicts] == [kind]
    assert "the dataset group shop has one of this name" in conflicts[0].why


def test_members_that_the_service_added_are_no_difference() -> None:
    there = shop(
        solutionConfig={
            "autoTrainingConfig": {"schedulingExpression": "rate(7 days)"},
            "algorithmHyperParameters": {"exclude_seen": "auto"},
        }
    )

    assert plan(shop(), AccountState(there)) == []


def test_a_filter_is_made_again_under_its_name() -> None:
    group = SHOP["datasetGroups"]["shop"] | {"filters": {"cheap": "INCLUDE ItemID WHERE Items.PRICE < 5"}}
    target = Declaration.parse({**SHOP, "datasetGroups": {"shop": group}})

    [step] = plan(target, AccountState(shop()))

    assert step.sign == "replace"
    assert [operation for operation, _ in step.calls] == ["delete_filter", "create_filter"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"recipe": "aws-similar-items"}, "its recipe is"),
        ({"eventType": "Purchase"}, "its eventType is None, not Purchase"),
        ({"solutionConfig": {"algorithmHyperParameters": {"a": "1"}}}, "its solutionConfig is"),
    ],
)
def test_what_never_changes_is_a_conflict(changes: dict[str, Any], why: str) -> None:
    steps = plan(shop(**changes), AccountState(shop()))

    assert [step.sign for step in steps] == ["conflict"]
    assert why in steps[0].why


def test_another_schema_under_the_same_name_is_a_conflict() -> None:
    changed = {"schemas": {"clicks": {"schema": AVRO | {"version": "2.0"}}}}

    [step] = plan(Declaration.parse(changed), AccountState(shop()))

    assert (step.sign, step.name) == ("conflict", "clicks")


def test_a_second_event_tracker_is_a_conflict() -> None:
    target = Declaration.parse({"datasetGroups": {"shop": {"eventTracker": "app"}}})

    [step] = plan(target, AccountState(shop()))

    assert "has the event tracker web" in step.why


def test_what_has_failed_is_said_and_not_made_a_second_time() -> None:
    present = AccountState(shop(campaigns={}), {("campaign", "home"): "no version"}, frozenset({"for-you"}))

    signs = {step.sign for step in plan(shop(), present)}

    assert "conflict" in signs


def test_a_file_with_mistakes_names_every_place() -> None:
    with pytest.raises(Permanent) as caught:
        Declaration.parse(
            {"datasetGroups": {"shop": {"solutions": {"x y": {"recipe": "a"}}, "colour": "red"}}}
        )

    assert "datasetGroups.shop.solutions.x y" in str(caught.value)
    assert "datasetGroups.shop.colour" in str(caught.value)


def test_what_is_written_is_read_again() -> None:
    assert Declaration.parse(shop().to_document()) == shop()


def test_one_group_comes_with_its_schemas_alone() -> None:
    both = Declaration.parse({**SHOP, "schemas": SHOP["schemas"] | {"unused": {"schema": AVRO}}})

    assert set(both.restricted_to("shop").schemas) == {"clicks"}
    with pytest.raises(Permanent, match="no dataset group 'other'"):
        both.restricted_to("other")
