"""A real order and a real click become a recommendation: every edge of the diagram is crossed."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.support.shop import Shop
from tests.support.waiting import until

CAMPAIGN = "arn:aws:personalize:us-east-1:000000000000:campaign/user-personalization"
GROUP = "arn:aws:personalize:us-east-1:000000000000:dataset-group/default"


async def test_every_row_of_the_shop_arrived_once(shop: Shop) -> None:
    orders = shop.rows("orders")
    cancelled = {(row["order_id"], row["line"]) for row in orders if row["kind"] == "cancellation"}
    lines_sold = [row for row in orders if row["kind"] == "order"]
    sold = [row for row in lines_sold if (row["order_id"], row["line"]) not in cancelled]
    guests = [row for row in sold if not row["user_id"]]

    ids = sorted({row["order_id"] for row in orders})
    lines = await shop.query("SELECT count(*) AS n FROM sync.order_items WHERE order_id = ANY($1)", ids)
    purchases = await shop.query(
        "SELECT count(*) AS n, count(*) FILTER (WHERE user_id IS NULL) AS guests "
        "FROM tracker.interactions WHERE source = 'order' AND order_id = ANY($1)",
        ids,
    )
    imported = await shop.query("SELECT count(*) AS n FROM tracker.interactions WHERE source = 'import'")

    assert lines[0]["n"] == len(orders)
    assert (purchases[0]["n"], purchases[0]["guests"]) == (len(sold), len(guests))
    assert imported[0]["n"] == len(shop.rows("interactions"))


async def test_importing_twice_changes_nothing(shop: Shop) -> None:
    before = await shop.query("SELECT count(*) FROM sync.order_items")

    account = shop.import_file("orders", shop.folder / "orders.csv")

    assert account["rows"]["accepted"] == 0
    assert account["rows"]["duplicate"] == len(shop.rows("orders"))
    assert await shop.query("SELECT count(*) FROM sync.order_items") == before


def test_a_customer_gets_a_list_with_names_and_prices_from_redis(shop: Shop) -> None:
    # Redis may be late now and then, on a busy machine.
    answer = until(
        lambda: shop.recommendations(shop.buyer(), limit=10),
        "Redis answers",
        enough=lambda found: found["source"] == "redis",
    )

    names = {row["item_id"]: row["name"] for row in shop.rows("items")}
    assert answer["generation"] >= 1
    assert len(answer["recommendations"]) == 10
    for item in answer["recommendations"]:
        assert item["product_name"] == names[item["product_id"]]
        assert item["price"] > 0
    scores = [item["score"] for item in answer["recommendations"]]
    assert scores == sorted(scores, reverse=True)


def test_similar_items_and_places_answer_too(shop: Shop) -> None:
    item = shop.rows("orders")[0]["product_id"]
    country = next(row["country"] for row in shop.rows("orders") if row["country"])

    similar, local = shop.similar(item), shop.by_location(country=country)

    assert similar["product_id"] == item
    assert similar["recommendations"]
    assert item not in [entry["product_id"] for entry in similar["recommendations"]]
    assert local["recommendations"]


@pytest.mark.smoke
def test_a_recent_purchase_is_not_in_the_list(shop: Shop) -> None:
    user = shop.buyer(1)
    first = shop.recommendations(user)["recommendations"][0]["product_id"]

    answer = shop.send({"user_id": user, "event_type": "purchase", "item_id": first})

    assert answer.status_code == 200
    until(
        lambda: first not in [item["product_id"] for item in shop.recommendations(user)["recommendations"]],
        f"{first} is gone from the list of {user}",
    )


def test_an_unknown_user_gets_popular_items(shop: Shop) -> None:
    answer = shop.recommendations("nobody-has-ever-seen-me")

    assert answer["source"] == "popular"
    assert len(answer["recommendations"]) == 10


def test_unmodified_boto3_sends_events_and_gets_live_recommendations(shop: Shop) -> None:
    events, runtime = shop.boto3("personalize-events"), shop.boto3("personalize-runtime")
    user = f"visitor-{uuid.uuid4()}"
    seen = shop.recommendations(shop.buyer())["recommendations"][0]["product_id"]

    def ids() -> list[str]:
        answer = runtime.get_recommendations(campaignArn=CAMPAIGN, userId=user, numResults=10)
        return [item["itemId"] for item in answer["itemList"]]

    before = ids()
    events.put_events(
        trackingId=shop.endcap.keys["tracking_id"],
        userId=user,
        sessionId="s-1",
        eventList=[{"eventType": "view", "itemId": seen, "sentAt": 1_790_000_000}],
    )

    assert len(before) == 10
    until(lambda: ids() != before, "the list follows the click")


def test_the_control_plane_shows_what_the_trainer_made(shop: Shop) -> None:
    personalize = shop.boto3("personalize")

    groups = personalize.list_dataset_groups()["datasetGroups"]
    solutions = personalize.list_solutions(datasetGroupArn=GROUP)["solutions"]
    campaign = personalize.describe_campaign(campaignArn=CAMPAIGN)["campaign"]

    assert [group["status"] for group in groups if group["datasetGroupArn"] == GROUP] == ["ACTIVE"]
    assert len(solutions) == 3
    assert campaign["status"] == "ACTIVE"


async def test_a_put_item_reaches_the_answers(shop: Shop) -> None:
    user = shop.buyer(2)
    first = shop.recommendations(user)["recommendations"][0]
    personalize = shop.boto3("personalize")
    items = next(
        dataset["datasetArn"]
        for dataset in personalize.list_datasets(datasetGroupArn=GROUP)["datasets"]
        if dataset["datasetType"] == "ITEMS"
    )

    shop.boto3("personalize-events").put_items(
        datasetArn=items,
        items=[{"itemId": first["product_id"], "properties": '{"price": 987.65}'}],
    )

    def price() -> float:
        entries = shop.recommendations(user)["recommendations"]
        return next((e["price"] for e in entries if e["product_id"] == first["product_id"]), 0)

    until(lambda: price() == 987.65, "the new price is in the answers")


async def test_a_filter_keeps_an_item_from_the_answers(shop: Shop) -> None:
    user, runtime = shop.buyer(2), shop.boto3("personalize-runtime")
    made = shop.boto3("personalize").create_filter(
        name=f"without-{uuid.uuid4().hex[:8]}",
        datasetGroupArn=GROUP,
        filterExpression="EXCLUDE ItemID WHERE Items.ITEM_ID IN ($ITEMS)",
    )["filterArn"]

    def ids(**filtered: Any) -> list[str]:
        answer = runtime.get_recommendations(campaignArn=CAMPAIGN, userId=user, numResults=5, **filtered)
        return [item["itemId"] for item in answer["itemList"]]

    first, *rest = ids()
    found = ids(filterArn=made, filterValues={"ITEMS": f'"{first}"'})
    assert first not in found
    assert found[: len(rest)] == rest


async def test_an_uploaded_file_is_imported(shop: Shop) -> None:
    order = f"upload-{uuid.uuid4()}"
    header = ",".join(shop.rows("orders")[0])
    row = shop.rows("orders")[0] | {"order_id": order, "line": "1", "kind": "order"}
    shop.boto3("s3").put_object(
        Bucket="endcap-uploads",
        Key="default/orders-today.csv",
        Body=f"{header}\n{','.join(row.values())}\n".encode(),
    )

    def arrived() -> Any:
        return shop.call("GET", "sync", f"/v1/orders/{order}").status_code == 200

    until(arrived, "the order of the uploaded file is there")


async def test_a_defined_placement_answers_without_a_restart(shop: Shop) -> None:
    pinned = {
        "strategies": [{"strategy": "popular"}],
        "rules": {"pins": [{"item_id": "i-0007", "position": 1}]},
    }

    defined = shop.call("PUT", "engine", "/v1/placements/landing", json=pinned)
    assert defined.status_code == 201, defined.text

    def first() -> Any:
        answer = shop.call("GET", "recommender", "/api/v1/placements/landing?limit=3", key="read")
        return answer.json()["recommendations"][0]["product_id"] if answer.status_code == 200 else None

    until(first, "the placement answers", enough=lambda item_id: item_id == "i-0007")


def test_an_experiment_splits_and_counts(shop: Shop) -> None:
    experiment = {
        "name": f"home-{uuid.uuid4().hex[:8]}",
        "surface": "recommendations",
        "variants": [
            {"name": "control", "weight": 1, "strategy": "user-personalization"},
            {"name": "affinity", "weight": 1, "strategy": "item-affinity"},
        ],
    }
    assert shop.call("POST", "router", "/v1/experiments", json=experiment).status_code in {200, 201}
    name = experiment["name"]
    assert shop.call("POST", "router", f"/v1/experiments/{name}/start").status_code == 200
    until(lambda: name in shop.experiments(), "the recommender follows the experiment")
    users = [shop.buyer(number) for number in range(40)]
    variants = {}
    for user in users:
        answer = shop.call("GET", "router", f"/api/v1/personalize/recommendations/{user}", key="read")
        variants[user] = answer.headers["x-variant"]

    def counted() -> Any:
        found = shop.get("router", f"/v1/experiments/{name}")
        exposed = {variant["name"]: variant["exposed"] for variant in found["variants"]}
        return exposed if sum(exposed.values()) == len(users) else None

    exposed = until(counted, "every exposure is counted")
    shop.call("POST", "router", f"/v1/experiments/{name}/stop")
    assert exposed == {v: list(variants.values()).count(v) for v in ("control", "affinity")}
    assert min(exposed.values()) > 0


async def test_operators_read_the_lists_with_sql(shop: Shop) -> None:
    lists = await shop.query("SELECT * FROM loader.offline_user_recommendations LIMIT 1")
    similar = await shop.query("SELECT * FROM loader.offline_similar_items LIMIT 1")
    affinity = await shop.query("SELECT * FROM loader.offline_item_affinity LIMIT 1")
    jobs = await shop.query("SELECT * FROM loader.batch_job_metadata")

    assert {"user_id", "recommendations", "recipe_name", "updated_at"} <= set(lists[0].keys())
    assert {"product_id", "similar_products"} <= set(similar[0].keys())
    assert {"user_id", "item_affinities"} <= set(affinity[0].keys())
    assert jobs
