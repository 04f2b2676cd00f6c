"""What a run does after the wait: snapshot, import, train, campaign, batch, popularity, manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from services.trainer.domain import (
    DATASET_TYPES,
    LIVE_RECIPE,
    POPULARITY,
    DatasetType,
    Recipe,
    manifest,
    recipes,
    resource_name,
)
from shared.errors import Permanent

if TYPE_CHECKING:
    from services.trainer.settings import Settings
    from services.trainer.store import Files, Personalize, Runs, Snapshots
    from services.trainer.worker.running import Step, Work
    from services.trainer.worker.waiting import Waiting

_FILES: dict[DatasetType, str] = {"INTERACTIONS": "interactions", "ITEMS": "items", "USERS": "users"}
_INPUTS = {"users": "user-ids", "items": "item-ids"}
SECONDS_A_DAY = 86_400

Result = TypeVar("Result")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Steps:
    """Each method does one step, and does it once however often it is called."""

    settings: Settings
    runs: Runs
    files: Files
    snapshots: Snapshots
    personalize: Personalize
    waiting: Waiting

    def by_name(self) -> Mapping[str, Step]:
        """The steps under their names."""
        return {
            "wait": self.waiting.wait,
            "snapshot": self.snapshot,
            "import": self.imports,
            "train": self.train,
            "campaign": self.campaign,
            "batch": self.batch,
            "popularity": self.popularity,
            "manifest": self.manifest,
        }

    async def snapshot(self, work: Work) -> bool:
        """Write the tenant's data as it is at one moment; what an earlier attempt wrote whole is kept."""
        prefix = f"{work.run.prefix}snapshot/"
        page = f"{prefix}_manifest.json"
        taken = await self.files.get_json(page)
        if taken is None:
            await self.files.abort_uploads(prefix)
            written = await self.snapshots.take(
                work.run.tenant,
                prefix,
                half_life_seconds=self.settings.popular_half_life_days * SECONDS_A_DAY,
                length=self.settings.popular_length,
            )
            taken = {name: file.document() for name, file in written.items()}
            await self.files.put_json(page, taken)
        left_out = await self.snapshots.left_out(work.run.tenant)
        for sentence in left_out:
            log.warning("trainer.rows_left_out", tenant=work.run.tenant, run=work.run.run, what=sentence)
        await work.report(files=taken, left_out=left_out)
        if not taken["interactions"]["rows"] and not taken["popularity"]["rows"]:
            raise Permanent(
                f"tenant {work.run.tenant} has no interactions yet: send events or import orders, then "
                "start a run again"
            )
        return True

    async def imports(self, work: Work) -> bool:
        """Give the snapshot to the Personalize API; False when no user has done anything."""
        if not _has_users(work):
            return False
        known = await self.runs.dataset_group(work.run.tenant)
        if known is None:
            raise Permanent(f"there is no tenant {work.run.tenant}: its dataset group was deleted")
        group = await self._personalize(work).dataset_group(work.run.tenant, known)
        await work.report(0.1, dataset_group=group)
        files = work.of("snapshot")["files"]
        wanted = [kind for kind in DATASET_TYPES if files[_FILES[kind]]["rows"]]
        jobs = await _all(self._import(work, group, kind, files) for kind in wanted)
        await work.report(1.0, jobs=dict(zip(wanted, jobs, strict=True)))
        return True

    async def train(self, work: Work) -> bool:
        """Train one model per recipe, all at once; False when no user has done anything."""
        if not _has_users(work):
            return False
        group = work.of("import")["dataset_group"]
        wanted = recipes(amazon=self.settings.amazon)
        trained = dict(
            zip(
                [recipe.name for recipe in wanted],
                await _all(self._train(work, group, recipe) for recipe in wanted),
                strict=True,
            )
        )
        await work.report(1.0, models=trained)
        return True

    async def campaign(self, work: Work) -> bool:
        """Let the tenant's campaign serve the new model live."""
        if not _has_users(work) or (self.settings.amazon and not self.settings.amazon_campaigns):
            return False
        model = work.of("train")["models"][LIVE_RECIPE]
        name = resource_name(work.run.tenant, LIVE_RECIPE)
        arn = await self._personalize(work).campaign(model["solution"], model["version"], name)
        await work.report(1.0, campaign=arn)
        return True

    async def batch(self, work: Work) -> bool:
        """Have the lists of every user and item made; False when no user has done anything."""
        if not _has_users(work):
            return False
        models, snapshot = work.of("train")["models"], work.of("snapshot")["files"]
        wanted = [
            recipe
            for recipe in recipes(amazon=self.settings.amazon)
            if snapshot[_INPUTS[recipe.inputs]]["rows"]
        ]
        jobs = await _all(
            self._infer(work, recipe, models[recipe.name]["version"], snapshot) for recipe in wanted
        )
        await work.report(1.0, jobs={recipe.name: job for recipe, job in zip(wanted, jobs, strict=True)})
        return True

    async def popularity(self, work: Work) -> bool:
        """Write the popularity lists in the format of the batch jobs."""
        source = work.of("snapshot")["files"]["popularity"]["key"]
        key = f"{self._output(work, POPULARITY)}lists.jsonl.out"
        file = await self.snapshots.popularity_lines(source, key)
        await work.report(1.0, file=file.document())
        return True

    async def manifest(self, work: Work) -> bool:
        """Count and sum up every file, and write down what belongs to the run, last of all."""
        jobs: dict[str, Any] = work.of("batch").get("jobs", {})
        files: dict[str, list[dict[str, Any]]] = {POPULARITY: [work.of("popularity")["file"]]}
        for position, name in enumerate(jobs, start=1):
            keys = [key for key in await self.files.keys(self._output(work, name)) if key.endswith(".out")]
            if not keys:
                raise Permanent(f"the batch inference job {jobs[name]['name']} has left no output")
            files[name] = [(await self.files.described(key)).document() for key in sorted(keys)]
            await work.report(position / (len(jobs) + 1))
        completed_at = datetime.now(UTC)
        key = f"{work.run.prefix}_manifest.json"
        await self.files.put_json(key, manifest(work.run, completed_at, jobs, files))
        await work.report(1.0, key=key, recipes=sorted(files), completed_at=completed_at.isoformat())
        return True

    async def _import(
        self, work: Work, group: str, kind: DatasetType, files: Mapping[str, Mapping[str, Any]]
    ) -> str:
        name = resource_name(work.run.tenant, _FILES[kind])
        dataset = await self._personalize(work).dataset(group, name, kind)
        job_name = work.run.job_name(_FILES[kind])
        job = await self._personalize(work).import_rows(
            dataset, job_name, self.files.uri(files[_FILES[kind]]["key"])
        )
        return str(job["datasetImportJobArn"])

    async def _train(self, work: Work, group: str, recipe: Recipe) -> dict[str, Any]:
        name = resource_name(work.run.tenant, recipe.name)
        solution = await self._personalize(work).solution(group, name, recipe.arn)
        version = await self._personalize(work).version(
            solution, work.run.job_name(recipe.name), known=work.detail.get(recipe.name)
        )
        await work.report(None, **{recipe.name: version})
        trained = await self._personalize(work).trained(version)
        return {"solution": solution, "version": version, **trained}

    async def _infer(
        self, work: Work, recipe: Recipe, version: str, snapshot: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        name = work.run.job_name(recipe.name)
        arn = await self._personalize(work).infer(
            version,
            name,
            source=self.files.uri(snapshot[_INPUTS[recipe.inputs]]["key"]),
            target=self.files.uri(self._output(work, recipe.name)),
            results=self.settings.list_length,
        )
        described = await self._personalize(work).inferred(arn)
        return {
            "name": name,
            "arn": arn,
            "started_at": described["creationDateTime"].isoformat(),
            "completed_at": described["lastUpdatedDateTime"].isoformat(),
        }

    def _personalize(self, work: Work) -> Personalize:
        return self.personalize.of(work.run.tenant)

    def _output(self, work: Work, recipe: str) -> str:
        return f"{work.run.prefix}batch/{recipe}/"


def _has_users(work: Work) -> bool:
    """Return whether the snapshot has anything to train on: events without a user only make popularity."""
    return bool(work.of("snapshot")["files"]["interactions"]["rows"])


async def _all(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """The results of all, at the same time. The first error ends the others, and is raised itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
