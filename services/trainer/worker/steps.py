"""The steps of a run after the wait: snapshot, import, train, campaign, batch, popularity, manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import structlog

from services.trainer.domain import (
    DATASET_TYPES,
    LIVE_RECIPE,
    POPULARITY,
    RECIPES,
    TOGETHER,
    DatasetType,
    Recipe,
    Run,
    manifest,
    recipes,
    resource_name,
)
from shared.errors import Permanent

if TYPE_CHECKING:
    from services.trainer.settings import Settings
    from services.trainer.store import Files, Personalize, Runs, Snapshots
    from services.trainer.worker.import_wait import ImportWait
    from services.trainer.worker.offset_barrier import OffsetBarrier
    from services.trainer.worker.run_job import Step, StepContext

_FILES: dict[DatasetType, str] = {"INTERACTIONS": "interactions", "ITEMS": "items", "USERS": "users"}
_INPUTS = {"users": "user-ids", "items": "item-ids"}
SECONDS_A_DAY = 86_400

Result = TypeVar("Result")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Steps:
    """Each method does one step; a retry does not repeat what an earlier attempt has done."""

    settings: Settings
    runs: Runs
    files: Files
    snapshots: Snapshots
    personalize: Personalize
    import_wait: ImportWait
    barrier: OffsetBarrier

    def by_name(self) -> Mapping[str, Step]:
        """Return the steps by name."""
        return {
            "wait": self.wait,
            "snapshot": self.snapshot,
            "import": self.imports,
            "train": self.train,
            "campaign": self.campaign,
            "batch": self.batch,
            "popularity": self.popularity,
            "manifest": self.manifest,
        }

    async def wait(self, context: StepContext) -> bool:
        """Wait for the imports that the run must include, until their rows are stored; False without any."""
        await self.import_wait.wait(context)
        return await self.barrier.wait(context)

    async def snapshot(self, context: StepContext) -> bool:
        """Write a snapshot of the data, unless an earlier attempt has completed one.

        Raises Permanent when the tenant has no interactions.
        """
        prefix = f"{context.run.prefix}snapshot/"
        manifest_key = f"{prefix}_manifest.json"
        files = await self.files.get_json(manifest_key)
        if files is None:
            await self.files.abort_uploads(prefix)
            written = await self.snapshots.take(
                context.run.tenant,
                prefix,
                half_life_seconds=self.settings.popular_half_life_days * SECONDS_A_DAY,
                length=self.settings.popular_length,
                together_length=self.settings.list_length,
            )
            files = {name: file.document() for name, file in written.items()}
            await self.files.put_json(manifest_key, files)
        excluded = await self.snapshots.describe_excluded(context.run.tenant)
        for sentence in excluded:
            log.warning(
                "trainer.rows_excluded", tenant=context.run.tenant, run=context.run.run, what=sentence
            )
        await context.report(files=files, left_out=excluded)
        if not files["interactions"]["rows"] and not files["popularity"]["rows"]:
            raise Permanent(
                f"tenant {context.run.tenant} has no interactions yet: send events or import orders, then "
                "start a run again"
            )
        return True

    async def imports(self, context: StepContext) -> bool:
        """Import the snapshot through the Personalize API; return False without interactions of users.

        Raises Permanent when the dataset group was deleted.
        """
        if not _has_users(context):
            return False
        group = await self.dataset_group(context)
        await context.report(0.1, dataset_group=group)
        files = context.of("snapshot")["files"]
        kinds = [kind for kind in DATASET_TYPES if files[_FILES[kind]]["rows"]]
        jobs = await gather(self.import_file(context, group, kind, files) for kind in kinds)
        await context.report(1.0, jobs=dict(zip(kinds, jobs, strict=True)))
        return True

    async def train(self, context: StepContext) -> bool:
        """Train a model for each recipe, concurrently; return False without interactions of users."""
        if not _has_users(context):
            return False
        group = context.of("import")["dataset_group"]
        to_train = recipes(amazon=self.settings.amazon)
        models = await gather(self._train(context, group, recipe) for recipe in to_train)
        names = [recipe.name for recipe in to_train]
        await context.report(1.0, models=dict(zip(names, models, strict=True)))
        return True

    async def stop_training(self, run: Run, detail: Mapping[str, Any]) -> None:
        """Stop the trainings of a cancelled run, whose step `train` has this detail."""
        for recipe in RECIPES:
            version = detail.get(recipe.name)
            if version is not None:
                await self.personalize.for_tenant(run.tenant).stop_training(version)

    async def campaign(self, context: StepContext) -> bool:
        """Deploy the new model with the campaign of the tenant; return False when it has none."""
        if not _has_users(context) or (self.settings.amazon and not self.settings.amazon_campaigns):
            return False
        model = context.of("train")["models"][LIVE_RECIPE]
        name = resource_name(context.run.tenant, LIVE_RECIPE)
        arn = await self._personalize(context).campaign(model["solution"], model["version"], name)
        await context.report(1.0, campaign=arn)
        return True

    async def batch(self, context: StepContext) -> bool:
        """Compute the lists of all users and items; return False without interactions of users."""
        if not _has_users(context):
            return False
        models, snapshot = context.of("train")["models"], context.of("snapshot")["files"]
        to_infer = [
            recipe
            for recipe in recipes(amazon=self.settings.amazon)
            if snapshot[_INPUTS[recipe.inputs]]["rows"]
        ]
        jobs = await gather(
            self.infer(context, recipe, models[recipe.name]["version"], snapshot) for recipe in to_infer
        )
        names = [recipe.name for recipe in to_infer]
        await context.report(1.0, jobs=dict(zip(names, jobs, strict=True)))
        return True

    async def popularity(self, context: StepContext) -> bool:
        """Write the popularity lists in the format of the batch jobs."""
        source = context.of("snapshot")["files"]["popularity"]["key"]
        key = f"{self._output(context, POPULARITY)}lists.jsonl.out"
        file = await self.snapshots.popularity_lines(source, key)
        await context.report(1.0, file=file.document())
        return True

    async def manifest(self, context: StepContext) -> bool:
        """Write the manifest with the lines and the checksum of every file.

        Raises Permanent when a batch inference job has no output.
        """
        jobs: dict[str, Any] = context.of("batch").get("jobs", {})
        files: dict[str, list[dict[str, Any]]] = {POPULARITY: [context.of("popularity")["file"]]}
        together = context.of("snapshot")["files"].get(TOGETHER)
        if together is not None and together["rows"]:
            files[TOGETHER] = [together]
        files |= await self.batch_files(context, jobs)
        await self.write_manifest(context, jobs, files)
        return True

    async def batch_files(
        self, context: StepContext, jobs: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the output files of batch inference jobs by recipe; Permanent for a job without output."""
        files = {}
        for position, name in enumerate(jobs, start=1):
            keys = [key for key in await self.files.keys(self._output(context, name)) if key.endswith(".out")]
            if not keys:
                raise Permanent(f"the batch inference job {jobs[name]['name']} has no output")
            files[name] = [(await self.files.describe(key)).document() for key in sorted(keys)]
            await context.report(position / (len(jobs) + 1))
        return files

    async def write_manifest(
        self,
        context: StepContext,
        jobs: Mapping[str, Mapping[str, Any]],
        files: Mapping[str, list[dict[str, Any]]],
    ) -> None:
        """Write the manifest of jobs and files by recipe, which ends the step."""
        completed_at = datetime.now(UTC)
        key = f"{context.run.prefix}_manifest.json"
        await self.files.put_json(key, manifest(context.run, completed_at, jobs, files))
        await context.report(1.0, key=key, recipes=sorted(files), completed_at=completed_at.isoformat())

    async def dataset_group(self, context: StepContext) -> str:
        """Return the dataset group of the tenant; Permanent when it was deleted."""
        engine_arn = await self.runs.dataset_group(context.run.tenant)
        if engine_arn is None:
            raise Permanent(f"there is no tenant {context.run.tenant}: its dataset group was deleted")
        return await self._personalize(context).dataset_group(context.run.tenant, engine_arn)

    async def import_file(
        self,
        context: StepContext,
        group: str,
        kind: DatasetType,
        files: Mapping[str, Mapping[str, Any]],
        mode: Literal["FULL", "INCREMENTAL"] = "FULL",
    ) -> str:
        """Import the file of a dataset type, and return the ARN of the import job."""
        name = resource_name(context.run.tenant, _FILES[kind])
        dataset = await self._personalize(context).dataset(group, name, kind)
        job_name = context.run.job_name(_FILES[kind])
        job = await self._personalize(context).import_rows(
            dataset, job_name, self.files.uri(files[_FILES[kind]]["key"]), mode
        )
        return str(job["datasetImportJobArn"])

    async def _train(self, context: StepContext, group: str, recipe: Recipe) -> dict[str, Any]:
        name = resource_name(context.run.tenant, recipe.name)
        solution = await self._personalize(context).solution(group, name, recipe.arn)
        version = await self._personalize(context).start_training(
            solution, context.run.job_name(recipe.name), version=context.detail.get(recipe.name)
        )
        await context.report(None, **{recipe.name: version})
        trained = await self._personalize(context).wait_for_training(version)
        return {"solution": solution, "version": version, **trained}

    async def infer(
        self, context: StepContext, recipe: Recipe, version: str, snapshot: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Compute the lists of a recipe for the ids of a snapshot; return the batch inference job."""
        name = context.run.job_name(recipe.name)
        arn = await self._personalize(context).start_batch_inference(
            version,
            name,
            source=self.files.uri(snapshot[_INPUTS[recipe.inputs]]["key"]),
            target=self.files.uri(self._output(context, recipe.name)),
            results=self.settings.list_length,
        )
        described = await self._personalize(context).wait_for_batch_inference(arn)
        return {
            "name": name,
            "arn": arn,
            "started_at": described["creationDateTime"].isoformat(),
            "completed_at": described["lastUpdatedDateTime"].isoformat(),
        }

    def _personalize(self, context: StepContext) -> Personalize:
        return self.personalize.for_tenant(context.run.tenant)

    def _output(self, context: StepContext, recipe: str) -> str:
        return f"{context.run.prefix}batch/{recipe}/"


def _has_users(context: StepContext) -> bool:
    """Return whether the snapshot has interactions of users; events without a user do not train."""
    return bool(context.of("snapshot")["files"]["interactions"]["rows"])


async def gather(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run coroutines concurrently and return their results; the first error cancels the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
