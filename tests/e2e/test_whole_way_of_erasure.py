"""The data of a user: exported as a whole, then erased everywhere, with a receipt."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.shop import Shop
from tests.support.waiting import until

GROUP = "arn:aws:personalize:us-east-1:000000000000:dataset-group/default"


def counted(export: dict[str, Any]) -> dict[str, int]:
    """Return the counts of all stores that an export of a user names."""
    return {name: n for store in export["other_stores"] for name, n in (store["counts"] or {}).items()}


async def test_an_erased_user_is_gone_everywhere_with_a_receipt(shop: Shop) -> None:
    user, kept = shop.buyer(40), shop.buyer(41)
    personalize, s3 = shop.boto3("personalize"), shop.boto3("s3")
    session = f"visit-{uuid.uuid4()}"
    view = {"user_id": user, "session_id": session, "event_type": "view", "item_id": "i-0001"}
    ahead = datetime.now(UTC) + timedelta(minutes=4)  # by the clock of the client
    assert shop.send(view, {**view, "timestamp": ahead.isoformat()}).status_code == 200
    until(
        lambda: shop.recommendations(user),
        "the user has a list",
        enough=lambda found: found["source"] in {"redis", "model"},
    )
    # On a busy machine a service that counts, or the topic of dead letters, may not answer in time.
    exported = until(
        lambda: shop.get("engine", f"/v1/user-exports/{user}"),
        "the export is complete",
        enough=lambda found: found["complete"] and {"histories", "interactions"} <= counted(found).keys(),
    )
    counts = counted(exported)
    assert {"tracker.events", "sync.users", "sync.orders", "loader.lists"} <= exported["stores"].keys()
    read = {store.partition(".")[0] for store in exported["stores"]}
    named = {store["store"].partition(":")[0] for store in exported["other_stores"]}
    assert min(counts["attributes"], counts["runs_with_files"]) >= 1
    name = f"erasure-{uuid.uuid4().hex[:8]}"
    s3.put_object(Bucket="endcap-uploads", Key=f"default/{name}.csv", Body=f"USER_ID\n{user}\n".encode())

    arn = personalize.create_data_deletion_job(
        jobName=name,
        datasetGroupArn=GROUP,
        dataSource={"dataLocation": f"s3://endcap-uploads/default/{name}.csv"},
        roleArn="arn:aws:iam::000000000000:role/any",
    )["dataDeletionJobArn"]

    def status() -> Any:
        return personalize.describe_data_deletion_job(dataDeletionJobArn=arn)["dataDeletionJob"]["status"]

    until(status, f"{name} ended", enough=lambda said: said in {"COMPLETED", "FAILED"})
    receipt = shop.get("engine", f"/v1/erasures/{name}")
    assert (receipt["status"], receipt["waits_for"]) == ("COMPLETED", {}), receipt
    assert set(receipt["services"]) == {
        "tracker", "sync", "trainer", "loader", "recommender", "router", "analytics",
    }  # fmt: skip
    assert set(receipt["services"]) - {"router"} <= read | named  # the user is in no experiment
    assert receipt["services"]["tracker"]["rows"]["interactions"] > 1
    assert receipt["services"]["loader"]["rows"]["lists"] >= 2
    assert receipt["models"] >= 1

    for table, column in (
        ("tracker.interactions", "user_id"),
        ("sync.users", "user_id"),
        ("sync.orders", "unified_customer_id"),
        ("loader.lists", "id"),
    ):
        (left,) = await shop.query(f"SELECT count(*) AS n FROM {table} WHERE {column} = $1", user)
        (others,) = await shop.query(f"SELECT count(*) AS n FROM {table} WHERE {column} = $1", kept)
        assert (left["n"], others["n"] > 0) == (0, True), table
    assert shop.get("engine", f"/v1/user-exports/{user}")["stores"] == {}
    assert shop.redis_keys(user) == []
    assert shop.redis_keys(session) == []
    assert shop.recommendations(user)["source"] == "popular"
    until(
        lambda: shop.recommendations(kept),
        "another user has a list",
        enough=lambda found: found["source"] != "popular",
    )
