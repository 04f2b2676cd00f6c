"""The trainer and the sync of a shop, without their processes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx

from services.trainer.domain import Run
from services.trainer.handlers import Handlers
from services.trainer.store import Erasures, Executions, ShopImports
from services.trainer.worker import StepContext
from services.trainer.worker.import_wait import ImportWait
from shared.events import TrainingRequested

if TYPE_CHECKING:
    from tests.integration.sync.shop import Shop
    from tests.integration.trainer.conftest import Trainer

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:ml-workflow"
GROUP = "arn:aws:personalize:us-east-1:123456789012:dataset/default"
_RUNS = "SELECT run, status, reasons, imports, error FROM trainer.runs ORDER BY run"


@dataclass(frozen=True)
class Product:
    """The trainer and sync of a shop, without their processes."""

    http: httpx.AsyncClient
    admin: str
    trainer: Trainer
    shop: Shop
    imports: ShopImports
    executions: Executions

    async def call(self, operation: str, **body: Any) -> httpx.Response:
        headers = {"x-amz-target": f"AWSStepFunctions.{operation}", "x-api-key": self.admin}
        return await self.http.post("/", json=body, headers=headers)

    async def start(self, location: str, *, name: str | None = None, kind: str = "ITEMS") -> str:
        """Start an execution with a file, and return its ARN."""
        answer = await self.try_start(location, name=name, kind=kind)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["executionArn"])

    async def try_start(
        self, location: object, *, name: str | None = None, kind: str = "ITEMS"
    ) -> httpx.Response:
        text = json.dumps({"datasetArn": f"{GROUP}/{kind}", "dataLocation": location})
        members = {"stateMachineArn": MACHINE, "input": text} | ({} if name is None else {"name": name})
        return await self.call("StartExecution", **members)

    async def described(self, arn: str) -> dict[str, Any]:
        return dict((await self.call("DescribeExecution", executionArn=arn)).json())

    async def put(self, name: str, body: bytes) -> str:
        """Put a file into the tenant's folder, and return its location."""
        bucket, key = self.shop.files.uploads_bucket, f"default/{name}"
        await asyncio.to_thread(lambda: self.trainer.client.put_object(Bucket=bucket, Key=key, Body=body))
        return f"s3://{bucket}/{key}"

    async def import_ids(self) -> list[str]:
        return [row["id"] for row in await self.shop.rows("SELECT id FROM imports ORDER BY created_at")]

    async def runs(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.trainer.administrator.fetch(_RUNS)]

    async def waiting_step(self, number: int) -> tuple[Run, StepContext]:
        """Start the step `wait` of a run as a worker does, with what an earlier one has stored."""
        runs = self.trainer.runs
        run = await runs.start(number)
        begun = await runs.start_step(number, "wait")
        details = {name: state.detail for name, state in (await runs.steps(number)).items()}
        return run, StepContext(run, "wait", begun, details, runs)

    async def wait(self, context: StepContext) -> None:
        await ImportWait(self.executions, self.imports, timedelta(minutes=60)).wait(context)

    async def requested(self) -> None:
        """Handle sync's requests for trainings, and publish the rest of its outbox."""
        handlers = Handlers(self.trainer.runs, Erasures(self.trainer.database))
        for payload in await self.shop.published("training-requests-v1"):
            await handlers.training_requested(TrainingRequested.model_validate(payload))
        await self.published()

    async def published(self) -> None:
        await self.trainer.administrator.execute("DELETE FROM sync.outbox")
