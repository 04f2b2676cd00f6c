"""The Personalize API through boto3: Endcap's engine or Amazon's own service, by the same calls.

Resources have names that are the same in every attempt at a run, so that a retry finds what an earlier
attempt created.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self

import structlog
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from services.trainer.domain import DatasetType, schema, schema_name
from services.trainer.store.personalize_client import TENANT, AlreadyExists, client, translated
from shared.errors import Permanent, Transient

if TYPE_CHECKING:
    from services.trainer.settings import Settings

Described = dict[str, Any]

log = structlog.get_logger()


class Personalize:
    """Each method creates a resource if necessary, waits until it is ACTIVE, and returns its ARN.

    Calls to the engine are made for one tenant, with the service key: a key pair would belong to one account,
    in which dataset groups of other accounts are unknown, or confused with those of the same name.
    """

    def __init__(self, settings: Settings) -> None:
        """Make a client without a tenant; see `for_tenant`."""
        self.tenant: str | None = None
        self._amazon = settings.amazon
        self._role = settings.role_arn
        self._poll_seconds = settings.amazon_poll_seconds if settings.amazon else settings.poll_seconds
        self._max_seconds = settings.longest_poll_hours * 3600
        self._client: Any = client(settings)

    def for_tenant(self, tenant: str) -> Self:
        """Return the same client with a tenant."""
        bound = copy.copy(self)
        bound.tenant = tenant
        return bound

    async def dataset_group(self, name: str, engine_arn: str) -> str:
        """Return the dataset group of a tenant: `engine_arn` at the engine, the one named `name` at Amazon.

        Raises Permanent when the engine resolves the ARN in another account.
        """
        arn = engine_arn
        if self._amazon:
            arn = await self._ensure(
                "dataset group",
                lambda: self._find("list_dataset_groups", "datasetGroups", name=name),
                lambda: self._client.create_dataset_group(name=name)["datasetGroupArn"],
                "datasetGroupArn",
            )
        described = await self._until_active(
            f"dataset group {name}",
            lambda: self._client.describe_dataset_group(datasetGroupArn=arn)["datasetGroup"],
        )
        if not self._amazon and described["datasetGroupArn"] != arn:
            raise Permanent(
                f"the engine resolved {arn} as {described['datasetGroupArn']} of another account: set "
                "ENDCAP_SERVICE_KEY, so that the trainer can speak for every tenant"
            )
        return arn

    async def dataset(self, group: str, name: str, kind: DatasetType) -> str:
        """Return the dataset of a type; an existing one is used with the schema that it has."""
        existing = await self._call(
            lambda: self._find("list_datasets", "datasets", {"datasetGroupArn": group}, datasetType=kind)
        )
        if existing is not None:
            arn = str(existing["datasetArn"])
        else:
            schema_arn = await self._schema(kind)
            arn = await self._ensure(
                f"dataset {kind}",
                lambda: self._find("list_datasets", "datasets", {"datasetGroupArn": group}, datasetType=kind),
                lambda: self._client.create_dataset(
                    name=name, schemaArn=schema_arn, datasetGroupArn=group, datasetType=kind
                )["datasetArn"],
                "datasetArn",
            )
        await self._until_active(
            f"dataset {kind}", lambda: self._client.describe_dataset(datasetArn=arn)["dataset"]
        )
        return arn

    async def import_rows(
        self, dataset: str, job_name: str, uri: str, mode: Literal["FULL", "INCREMENTAL"] = "FULL"
    ) -> Described:
        """Replace the imported rows of a dataset by those of a file, or add them; return the import job."""
        listing = {"datasetArn": dataset}
        arn = await self._ensure(
            f"import job {job_name}",
            lambda: self._find("list_dataset_import_jobs", "datasetImportJobs", listing, jobName=job_name),
            lambda: self._client.create_dataset_import_job(
                jobName=job_name,
                datasetArn=dataset,
                dataSource={"dataLocation": uri},
                roleArn=self._role,
                importMode=mode,
            )["datasetImportJobArn"],
            "datasetImportJobArn",
        )
        return await self._until_active(
            f"import job {job_name}",
            lambda: self._client.describe_dataset_import_job(datasetImportJobArn=arn)["datasetImportJob"],
        )

    async def solution(self, group: str, name: str, recipe_arn: str) -> str:
        """Return a solution with a recipe; automatic training is off, since the trainer trains it."""
        arn = await self._ensure(
            f"solution {name}",
            lambda: self._find("list_solutions", "solutions", {"datasetGroupArn": group}, name=name),
            lambda: self._client.create_solution(
                name=name, datasetGroupArn=group, recipeArn=recipe_arn, performAutoTraining=False
            )["solutionArn"],
            "solutionArn",
        )
        await self._until_active(
            f"solution {name}", lambda: self._client.describe_solution(solutionArn=arn)["solution"]
        )
        return arn

    async def start_training(self, solution: str, name: str, *, version: str | None) -> str:
        """Start the training of a version with this name, once; `version` is one that was started before."""
        if version is not None:
            return version
        return await self._ensure(
            f"solution version {name}",
            lambda: self._version_named(solution, name),
            lambda: self._client.create_solution_version(
                name=name, solutionArn=solution, trainingMode="FULL"
            )["solutionVersionArn"],
            "solutionVersionArn",
        )

    async def wait_for_training(self, version: str) -> Described:
        """Wait until a training has ended, and return its hours and its offline metrics."""
        described = await self._until_active(
            f"solution version {version}",
            lambda: self._client.describe_solution_version(solutionVersionArn=version)["solutionVersion"],
        )
        metrics = await self._call(
            lambda: self._client.get_solution_metrics(solutionVersionArn=version)["metrics"]
        )
        return {"metrics": metrics, "training_hours": described.get("trainingHours")}

    async def stop_training(self, version: str) -> None:
        """Stop the training of a version, if it has not ended; a failure to do so is logged."""
        try:
            await self._call(lambda: self._client.stop_solution_version_creation(solutionVersionArn=version))
        except (Permanent, Transient) as error:
            log.info("trainer.training_not_stopped", version=version, reason=str(error))

    async def campaign(self, solution: str, version: str, name: str) -> str:
        """Deploy a version with the campaign of this name, which is created if necessary."""
        listing = {"solutionArn": solution}
        arn = await self._ensure(
            f"campaign {name}",
            lambda: self._find("list_campaigns", "campaigns", listing, name=name),
            lambda: self._client.create_campaign(name=name, solutionVersionArn=version, minProvisionedTPS=1)[
                "campaignArn"
            ],
            "campaignArn",
        )

        def describe() -> Described:
            campaign: Described = self._client.describe_campaign(campaignArn=arn)["campaign"]
            update = campaign.get("latestCampaignUpdate") or {}
            return campaign if campaign["status"] != "ACTIVE" or not update else {**campaign, **update}

        described = await self._until_active(f"campaign {name}", describe)
        if described["solutionVersionArn"] != version:
            await self._call(
                lambda: self._client.update_campaign(campaignArn=arn, solutionVersionArn=version)
            )
            await self._until_active(f"campaign {name}", describe)
        return arn

    async def start_batch_inference(
        self, version: str, job_name: str, *, source: str, target: str, results: int
    ) -> str:
        """Start the batch inference job of this name, once, and return its ARN."""
        listing = {"solutionVersionArn": version}
        return await self._ensure(
            f"batch inference job {job_name}",
            lambda: self._find("list_batch_inference_jobs", "batchInferenceJobs", listing, jobName=job_name),
            lambda: self._client.create_batch_inference_job(
                jobName=job_name,
                solutionVersionArn=version,
                numResults=results,
                jobInput={"s3DataSource": {"path": source}},
                jobOutput={"s3DataDestination": {"path": target}},
                roleArn=self._role,
            )["batchInferenceJobArn"],
            "batchInferenceJobArn",
        )

    async def wait_for_batch_inference(self, job: str) -> Described:
        """Wait until a batch inference job has ended, and return it."""
        return await self._until_active(
            f"batch inference job {job}",
            lambda: self._client.describe_batch_inference_job(batchInferenceJobArn=job)["batchInferenceJob"],
        )

    async def _schema(self, kind: DatasetType) -> str:
        name = schema_name(kind)
        return await self._ensure(
            f"schema {name}",
            lambda: self._find("list_schemas", "schemas", name=name),
            lambda: self._client.create_schema(name=name, schema=schema(kind))["schemaArn"],
            "schemaArn",
        )

    async def _ensure(
        self,
        description: str,
        find: Callable[[], Described | None],
        create: Callable[[], str],
        arn_member: str,
    ) -> str:
        """Find a resource or create it, and return its ARN; a concurrent creation is found again."""
        resource = await self._call(find)
        if resource is not None:
            return str(resource[arn_member])
        try:
            return str(await self._call(create))
        except AlreadyExists as error:
            resource = await self._call(find)
            if resource is None:
                message = f"the {description} exists, but belongs to another dataset group: {error}"
                raise Permanent(message) from error
            return str(resource[arn_member])

    def _find(
        self, operation: str, member: str, parameters: dict[str, str] | None = None, **members: str
    ) -> Described | None:
        """Return the first entry of a listing with these members, compared without case; None for none."""
        for page in self._client.get_paginator(operation).paginate(**(parameters or {})):
            for entry in page[member]:
                if all(str(entry.get(name, "")).lower() == text.lower() for name, text in members.items()):
                    return dict(entry)
        return None

    def _version_named(self, solution: str, name: str) -> Described | None:
        """Return the version of this name among the newest five: listings of versions have no names."""
        pages = self._client.get_paginator("list_solution_versions").paginate(solutionArn=solution)
        summaries = [entry for page in pages for entry in page["solutionVersions"]]
        summaries.sort(key=lambda summary: summary["creationDateTime"], reverse=True)
        for entry in summaries[:5]:
            version = self._client.describe_solution_version(solutionVersionArn=entry["solutionVersionArn"])[
                "solutionVersion"
            ]
            if version.get("name") == name:
                return dict(version)
        return None

    async def _until_active(self, description: str, describe: Callable[[], Described]) -> Described:
        """Poll until a resource is ACTIVE; Permanent with the reason of the API when it fails."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._max_seconds
        while True:
            described: Described = await self._call(describe)
            status = described["status"]
            if status == "ACTIVE":
                return described
            if "FAILED" in status or "STOP" in status:
                reason = described.get("failureReason") or "the service gives no reason"
                raise Permanent(f"{description} is {status}: {reason}")
            if loop.time() > deadline:
                raise Permanent(f"{description} is still {status} after {self._max_seconds / 3600:g} hours")
            await asyncio.sleep(self._poll_seconds)

    async def _call(self, function: Callable[[], Any]) -> Any:
        """Call boto3 in a thread; Transient when the API is unavailable or busy, else Permanent."""
        context = contextvars.copy_context()
        if self.tenant is not None:
            context.run(TENANT.set, self.tenant)
        try:
            return await asyncio.get_running_loop().run_in_executor(None, context.run, function)
        except ClientError as error:
            raise translated(error) from error
        except (BotoCoreError, HTTPClientError, OSError) as error:
            raise Transient(f"the Personalize API is unreachable: {error}") from error
