"""Datasets of one group, made through the control plane."""

from __future__ import annotations

import contextlib
import json

from services.engine.domain.resources import Resource
from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.store import resources
from shared.aws import WireError
from shared.postgres import Database
from tests.support.control_plane import perform


async def dataset(dispatcher: OperationDispatcher, store: Database, kind: str) -> Resource:
    """A dataset of the group shop, which is made with the first."""
    with contextlib.suppress(WireError):
        await perform(dispatcher, "CreateDatasetGroup", name="shop")
    names = {"Users": ["USER_ID", "CITY"], "Interactions": ["USER_ID", "ITEM_ID", "TIMESTAMP"]}[kind]
    fields = [{"name": name, "type": "long" if name == "TIMESTAMP" else "string"} for name in names]
    avro = {"type": "record", "name": kind, "namespace": "n", "fields": fields, "version": "1.0"}
    schema = (await perform(dispatcher, "CreateSchema", name=kind, schema=json.dumps(avro))).schema_arn
    group = "arn:aws:personalize:::dataset-group/shop"
    made = await perform(
        dispatcher, "CreateDataset", name=kind, schemaArn=schema, datasetGroupArn=group, datasetType=kind
    )
    row = await store.fetchrow("SELECT id FROM resources WHERE arn = $1", made.dataset_arn)
    assert row is not None
    resource = await resources.by_id(store, row["id"])
    assert resource is not None
    return resource
