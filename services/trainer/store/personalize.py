"""The Personalize API through boto3: Endcap's engine or Amazon's own service, by the same calls.

What is made here has a name that repeats with the run, so that an attempt after a crash finds what an
earlier one made instead of making it twice.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from services.trainer.domain import DatasetType, schema, schema_name
from services.trainer.store.personalize_client import TENANT, Exists, client, translated
from shared.errors import Permanent, Transient

if TYPE_CHECKING:
    from services.trainer.settings import Settings

Described = dict[str, Any]


class Personalize:
    """Each method returns when what it is about exists (or is ACTIVE); ARNs in, ARNs out.

    At the engine every call is made for one tenant, with the service key: a key pair would belong to one
    account, and a dataset group of another account be unknown, or mistaken for one of the same name.
    """

    def __init__(self, settings: Settings) -> None:
        """Make a client that speaks for no tenant yet; see `of`."""
        self.tenant: str | None = None
        self._amazon = settings.amazon
        self._role = settings.role_arn
        self._pause = settings.amazon_poll_seconds if settings.amazon else settings.poll_seconds
        self._longest = settings.longest_poll_hours * 3600
        self._client: Any = client(settings)

    def of(self, tenant: str) -> Self:
        """Return the same client, speaking for a tenant."""
        bound = copy.copy(self)
        bound.tenant = tenant
        return bound

    async def dataset_group(self, name: str, known: str) -> str:
        """The dataset group that a tenant is: at the engine its ARN is known, at Amazon the name counts."""
        arn = known
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
                f"the engine took {arn} for {described['datasetGroupArn']}, which is another account's: set "
                "ENDCAP_SERVICE_KEY, so that the trainer can speak for every tenant"
            )
        return arn

    async def dataset(self, group: str, name: str, kind: DatasetType) -> str:
        """The group's dataset of a kind. One that somebody made before, with a schema of theirs, is kept."""
        found = await self._call(
            lambda: self._find("list_datasets", "datasets", {"datasetGroupArn": group}, datasetType=kind)
        )
        if found is not None:
            arn = str(found["datasetArn"])
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

    async def import_rows(self, dataset: str, job_name: str, uri: str) -> Described:
        """Replace the imported rows of a dataset by those of a file."""
        listing = {"datasetArn": dataset}
        arn = await self._ensure(
            f"import job {job_name}",
            lambda: self._find("list_dataset_import_jobs", "datasetImportJobs", listing, jobName=job_name),
            lambda: self._client.create_dataset_import_job(
                jobName=job_name,
                datasetArn=dataset,
                dataSource={"dataLocation": uri},
                roleArn=self._role,
                importMode="FULL",
            )["datasetImportJobArn"],
            "datasetImportJobArn",
        )
        return await self._until_active(
            f"import job {job_name}",
            lambda: self._client.describe_dataset_import_job(datasetImportJobArn=arn)["datasetImportJob"],
        )

    async def solution(self, group: str, name: str, recipe_arn: str) -> str:
        """A recipe's settings over the group. It is trained by us alone, not by the service's clock."""
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

    async def version(self, solution: str, name: str, *, known: str | None) -> str:
        """A training of the solution, begun if none of this name is; `known` is what was begun before."""
        if known is not None:
            return known
        return await self._ensure(
            f"solution version {name}",
            lambda: self._version_named(solution, name),
            lambda: self._client.create_solution_version(
                name=name, solutionArn=solution, trainingMode="FULL"
            )["solutionVersionArn"],
            "solutionVersionArn",
        )

    async def trained(self, version: str) -> Described:
        """Wait for a training to end; gives its hours and its offline metrics."""
        described = await self._until_active(
            f"solution version {version}",
            lambda: self._client.describe_solution_version(solutionVersionArn=version)["solutionVersion"],
        )
        metrics = await self._call(
            lambda: self._client.get_solution_metrics(solutionVersionArn=version)["metrics"]
        )
        return {"metrics": metrics, "training_hours": described.get("trainingHours")}

    async def campaign(self, solution: str, version: str, name: str) -> str:
        """Serve a version live: by the campaign of this name, made at the first time."""
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
            found: Described = self._client.describe_campaign(campaignArn=arn)["campaign"]
            update = found.get("latestCampaignUpdate") or {}
            return found if found["status"] != "ACTIVE" or not update else {**found, **update}

        described = await self._until_active(f"campaign {name}", describe)
        if described["solutionVersionArn"] != version:
            await self._call(
                lambda: self._client.update_campaign(campaignArn=arn, solutionVersionArn=version)
            )
            await self._until_active(f"campaign {name}", describe)
        return arn

    async def infer(self, version: str, job_name: str, *, source: str, target: str, results: int) -> str:
        """Begin a batch inference job, if none of this name is begun; gives its ARN."""
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

    async def inferred(self, job: str) -> Described:
        """Wait for a batch inference job to end."""
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
        what: str,
        find: Callable[[], Described | None],
        create: Callable[[], str],
        arn: str,
    ) -> str:
        """Look first, then make; what somebody made in between is looked for once more."""
        found = await self._call(find)
        if found is not None:
            return str(found[arn])
        try:
            return str(await self._call(create))
        except Exists as error:
            found = await self._call(find)
            if found is None:
                raise Permanent(f"the {what} exists, but belongs to somebody else: {error}") from error
            return str(found[arn])

    def _find(
        self, operation: str, member: str, listing: dict[str, str] | None = None, **wanted: str
    ) -> Described | None:
        """The first of a listing with these members; types compare without case."""
        for page in self._client.get_paginator(operation).paginate(**(listing or {})):
            for entry in page[member]:
                if all(str(entry.get(name, "")).lower() == text.lower() for name, text in wanted.items()):
                    return dict(entry)
        return None

    def _version_named(self, solution: str, name: str) -> Described | None:
        """Listings of versions show no names, so the newest ones are described."""
        pages = self._client.get_paginator("list_solution_versions").paginate(solutionArn=solution)
        summaries = [entry for page in pages for entry in page["solutionVersions"]]
        for entry in sorted(summaries, key=lambda one: one["creationDateTime"], reverse=True)[:5]:
            version = self._client.describe_solution_version(solutionVersionArn=entry["solutionVersionArn"])[
                "solutionVersion"
            ]
            if version.get("name") == name:
                return dict(version)
        return None

    async def _until_active(self, what: str, describe: Callable[[], Described]) -> Described:
        """Ask until it is ACTIVE. Raises Permanent with the service's own reason when it fails."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._longest
        while True:
            described: Described = await self._call(describe)
            status = described["status"]
            if status == "ACTIVE":
                return described
            if "FAILED" in status or "STOP" in status:
                reason = described.get("failureReason") or "the service gives no reason"
                raise Permanent(f"{what} is {status}: {reason}")
            if loop.time() > deadline:
                raise Permanent(f"{what} is still {status} after {self._longest / 3600:g} hours")
            await asyncio.sleep(self._pause)

    async def _call(self, function: Callable[[], Any]) -> Any:
        """Call boto3 in a thread. Raises Transient when the service is away or busy, else Permanent."""
        context = contextvars.copy_context()
        if self.tenant is not None:
            context.run(TENANT.set, self.tenant)
        try:
            return await asyncio.get_running_loop().run_in_executor(None, context.run, function)
        except ClientError as error:
            raise translated(error) from error
        except (BotoCoreError, HTTPClientError, OSError) as error:
            raise Transient(f"the Personalize API is not reachable: {error}") from error
