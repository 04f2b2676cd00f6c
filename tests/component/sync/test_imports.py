"""Files over HTTP, by command and by upload: from the first byte to the events on Kafka."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.events import ItemPut
from shared.events.topics import PUTS
from shared.kafka import Publisher
from tests.support.kafka import running
from tests.support.processes import Process, finished
from tests.support.tenants import SERVICE_KEY
from tests.support.waiting import PATIENCE, eventually, until

if TYPE_CHECKING:
    from tests.component.sync.conftest import Sync

ORDERS = (
    b"order_id,user_id,ordered_at,product_id,product_name,quantity,price,country\n"
    b"1,u1,2026-03-01T10:00:00Z,a,Cup,2,5.00,Austria\n"
    b"1,u1,2026-03-01T10:00:00Z,b/1,Plate,1,8.00,Austria\n"
    b"2,,2026-03-01T11:00:00Z,a,Mug,many,5.50,Germany\n"
)


@pytest.fixture(scope="module")
def loaded(sync: Sync, worker: Process, relay: Process) -> dict[str, object]:
    return sync.ended(sync.load(ORDERS)["id"], relayed=True)


def test_a_posted_file_is_accounted_for_row_by_row(loaded: dict[str, object]) -> None:
    assert loaded["rows"] == {"read": 3, "accepted": 2, "rejected": 1, "duplicate": 0}
    assert loaded["reasons"] == {"bad_number": 1}
    assert loaded["changes"] == {"orders": 1, "order_lines": 2, "items": 2, "users": 1}
    assert (loaded["status"], loaded["progress"], loaded["relayed"]) == ("done", 1.0, True)


def test_what_it_brought_is_on_kafka_once(sync: Sync, loaded: dict[str, object]) -> None:
    for topic, count in {
        "orders-v1": 1, "items-v1": 2, "users-v1": 1, "training-requests-v1": 1,
    }.items():  # fmt: skip
        ids = sync.ids_on(topic)
        assert (len(ids), len(set(ids))) == (count, count), topic


def test_rejects_are_a_csv_file(sync: Sync, loaded: dict[str, object]) -> None:
    answer = sync.get(f"/v1/imports/{loaded['id']}/rejects")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["line"], row["code"]) == ("4", "bad_number")
    assert "many" in row["reason"]
    assert row["raw row"] == ORDERS.decode().splitlines()[3]


def test_the_file_is_kept_for_any_worker(sync: Sync, loaded: dict[str, object]) -> None:
    key = f"{sync.tenant.name}/imports/{loaded['id']}/file.csv"

    assert sync.s3.get_object(Bucket="endcap-data", Key=key)["Body"].read() == ORDERS


def test_the_shop_can_be_looked_at(sync: Sync, loaded: dict[str, object]) -> None:
    (order,) = sync.get("/v1/orders/1").json()["orders"]
    item = sync.get("/v1/items/b/1").json()
    user = sync.get("/v1/users/u1").json()

    assert [(line["product_id"], line["quantity"]) for line in order["lines"]] == [("a", 2.0), ("b/1", 1.0)]
    assert (item["name"], item["price"]) == ("Plate", 8.0)
    assert user["country"] == "Austria"
    for path in ("/v1/orders/9", "/v1/items/9", "/v1/users/9", "/v1/imports/9", "/v1/imports/9/rejects"):
        assert sync.get(path).status_code == 404
        assert sync.get(path).json()["error"].startswith("Unknown")


def test_the_shop_can_be_listed(sync: Sync, loaded: dict[str, object]) -> None:
    page = sync.get("/v1/items?search=pla&sort=-price&available=true").json()
    categories = sync.get("/v1/categories").json()["categories"]
    users = sync.get("/v1/users?limit=1").json()["users"]
    orders = sync.get("/v1/orders?user_id=u1").json()["orders"]

    assert ([item["item_id"] for item in page["items"]], page["total"]) == (["b/1"], 1)
    assert all(set(category) == {"name", "items"} for category in categories)
    assert [user["user_id"] for user in users] == ["u1"]
    assert [(order["order_id"], len(order["lines"])) for order in orders] == [("1", 2)]
    assert sync.get("/v1/orders").status_code == 400
    assert sync.get("/v1/items", key=sync.tenant.ingest).status_code == 403


def test_imports_are_listed_newest_first(sync: Sync, loaded: dict[str, object]) -> None:
    repeated = sync.load(ORDERS)

    listed = sync.get("/v1/imports").json()["imports"]

    assert listed[0] == sync.report(repeated["id"])
    assert loaded["id"] in [report["id"] for report in listed]
    assert repeated["rows"]["duplicate"] == 2
    assert repeated["changes"] == {}


def test_only_keys_of_the_catalogue_import_and_only_readers_look(sync: Sync) -> None:
    assert sync.post(ORDERS, key=sync.tenant.ingest).status_code == 403
    assert sync.post(ORDERS, key=sync.tenant.read).status_code == 403
    assert sync.post(ORDERS, key="nobody").status_code == 401
    assert sync.get("/v1/imports", key=sync.tenant.ingest).status_code == 403
    assert sync.get("/v1/imports", key=sync.tenant.catalogue).status_code == 200
    assert sync.get("/v1/items/anything", key=sync.tenant.catalogue).status_code == 403
    assert sync.get("/v1/imports", key=sync.tenant.admin).status_code == 200
    assert sync.http.get("/v1/imports").status_code == 401


@pytest.mark.parametrize(
    ("content", "form", "error", "sentence"),
    [
        (b"a,b\n", {}, "UnusableFile", "order_id"),
        (b"", {}, "UnusableFile", "empty"),
        (gzip.compress(b"a,b\n", mtime=0), {}, "UnusableFile", "header has: a, b"),
        (ORDERS, {"kind": "invoices"}, "UnknownKind", "interactions"),
        (ORDERS, {"source": "shopware"}, "UnusableFile", "online-retail"),
        (ORDERS, {"mapping": "{"}, "UnusableFile", "mapping is not valid"),
        (ORDERS, {"mapping": '{"columns": {"order_id": "Nr"}}'}, "UnusableFile", "Nr"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_at_once(
    sync: Sync, content: bytes, form: dict[str, str], error: str, sentence: str
) -> None:
    answer = sync.post(content, **{"kind": "orders", **form})

    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert sentence in answer.json()["detail"]


def test_a_request_that_is_no_form_is_refused(sync: Sync) -> None:
    headers = {"x-api-key": sync.tenant.admin}

    plain = sync.http.post("/v1/imports", content=ORDERS, headers=headers)
    broken = sync.http.post(
        "/v1/imports", content=b"--x\r\n", headers={**headers, "content-type": "multipart/form-data"}
    )
    empty = sync.http.post("/v1/imports", data={"kind": "orders"}, files={"other": b"x"}, headers=headers)

    assert {answer.status_code for answer in (plain, broken, empty)} == {400}
    assert empty.json()["error"] == "MissingFile"


def test_a_mapping_comes_as_text_or_as_a_file(sync: Sync, worker: Process) -> None:
    mapping = json.dumps(
        {
            "columns": {"order_id": "Nr", "ordered_at": "Am", "product_id": "Art", "quantity": "Menge"},
            "date_format": "%d.%m.%Y",
        }
    )
    content = "Nr;Am;Art;Menge\nm1;01.03.2026;x;2\n".encode("latin-1")

    text = sync.load(content, mapping=mapping, source="erp")
    file = sync.http.post(
        "/v1/imports",
        data={"kind": "orders"},
        files={"file": ("o.csv", content), "mapping": ("m.json", mapping)},
        headers={"x-api-key": sync.tenant.admin},
    )

    assert (text["source"], text["rows"]["accepted"]) == ("erp", 1)
    assert sync.ended(file.json()["id"])["rows"]["duplicate"] == 1


def test_json_lines_are_posted_as_csv_is(sync: Sync, worker: Process) -> None:
    line = {"order_id": "j1", "ordered_at": "2026-03-01T10:00:00Z", "product_id": "x", "quantity": 2}

    report = sync.load(gzip.compress(json.dumps(line).encode() + b"\n[]\n"))

    assert (report["rows"]["accepted"], report["rows"]["rejected"]) == (1, 1)
    assert report["source"] == "endcap"


def test_an_uploaded_file_is_imported_when_the_store_announces_it(
    sync: Sync, worker: Process, relay: Process
) -> None:
    content = ORDERS.replace(b"\n1,", b"\nup1,")
    sync.s3.put_object(
        Bucket="endcap-uploads", Key=f"{sync.tenant.name}/orders-march.csv.gz", Body=gzip.compress(content)
    )
    sync.s3.put_object(Bucket="endcap-uploads", Key=f"{sync.tenant.name}/notes.csv", Body=content)

    uploaded = until(lambda: uploads(sync), "the upload is an import")
    report = sync.ended(uploaded[0], relayed=True)

    assert (report["origin"], report["file"], report["changes"]["orders"]) == (
        "upload",
        "orders-march.csv.gz",
        1,
    )
    assert len(uploads(sync)) == 1


def uploads(sync: Sync) -> list[str]:
    listed = sync.get("/v1/imports").json()["imports"]
    return [report["id"] for report in listed if report["origin"] == "upload"]


def test_an_upload_that_is_no_orders_file_fails_with_a_sentence(sync: Sync, worker: Process) -> None:
    before = set(uploads(sync))
    sync.s3.put_object(Bucket="endcap-uploads", Key=f"{sync.tenant.name}/orders-bad.csv", Body=b"a,b\n1,2\n")

    uploaded = until(lambda: set(uploads(sync)) - before, "the upload is an import")
    report = sync.ended(uploaded.pop())

    assert report["status"] == "failed"
    assert "order_id" in report["error"]


async def test_what_a_storefront_puts_is_merged_and_published(
    sync: Sync, worker: Process, relay: Process
) -> None:
    put = ItemPut(
        event_id="p1",
        tenant=sync.tenant.name,
        occurred_at=datetime.now(UTC),
        item_id="put-1",
        fields={"name": "Vase", "CATEGORY_L1": "Glass", "Colour": "blue"},
    )
    publisher = Publisher(sync.kafka, "tracker", [PUTS])
    async with running(publisher):
        await publisher.publish(PUTS, [put], within=PATIENCE)

    await eventually(lambda: sync.get("/v1/items/put-1").status_code == 200, every=0.1)

    item = sync.get("/v1/items/put-1").json()
    assert (item["name"], item["category"], item["attributes"]) == ("Vase", "Glass", {"Colour": "blue"})

    keys = {"x-api-key": sync.tenant.read}
    assert sync.http.delete("/v1/items/put-1", headers=keys).status_code == 403
    keys = {"x-api-key": sync.tenant.catalogue}
    for _ in range(2):
        assert sync.http.delete("/v1/items/put-1", headers=keys).status_code == 204
    assert sync.get("/v1/items/put-1").status_code == 404


def test_the_load_command_shows_progress_until_all_is_relayed(
    sync: Sync, worker: Process, relay: Process, tmp_path: Path
) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(ORDERS.replace(b"\n1,", b"\nload1,"))

    done = load_command(sync, tmp_path, str(path))

    assert done.returncode == 0, done.stderr
    assert "3 rows read, 2 accepted, 0 duplicates, 1 rejected" in done.stdout
    assert "bad_number 1" in done.stdout


def test_the_load_command_says_what_is_wrong(sync: Sync, tmp_path: Path) -> None:
    bad = tmp_path / "items.csv"
    bad.write_bytes(b"sku\n1\n")

    refused = load_command(sync, tmp_path, str(bad))
    missing = load_command(sync, tmp_path, str(tmp_path / "none.csv"))

    assert (refused.returncode, missing.returncode) == (1, 1)
    assert "item_id" in refused.stderr
    assert "is not a file" in missing.stderr


def load_command(sync: Sync, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"ENDCAP_SYNC_URL": sync.serve.url, "ENDCAP_CATALOGUE_KEY": SERVICE_KEY}
    return finished("sync", ["load", *arguments, "--tenant", sync.tenant.name], environment, folder)
