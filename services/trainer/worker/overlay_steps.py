"""The steps of a run that computes some lists with the models of the run whose lists are served.

It trains nothing: users are scored by their interactions so far, and new items get neighbours by who touched
them, and by their categories.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from services.trainer import metrics
from services.trainer.domain import SIMILAR, recipes
from services.trainer.store import OverlayScope
from services.trainer.worker.steps import Steps, gather
from shared.errors import Permanent

if TYPE_CHECKING:
    from services.trainer.worker.run_job import Step, StepContext

LEAST_ROWS_ON_AMAZON: Final = 1_000
"""Of an INCREMENTAL import: a limit of Amazon Personalize."""


@dataclass(frozen=True, slots=True)
class OverlaySteps:
    """Each method does one step; a retry does not repeat what an earlier attempt has done."""

    steps: Steps

    def by_name(self) -> Mapping[str, Step]:
        """Return the steps by name."""
        return {
            "wait": self.steps.wait,
            "snapshot": self.snapshot,
            "import": self.imports,
            "train": self.skip,
            "campaign": self.skip,
            "batch": self.batch,
            "popularity": self.skip,
            "manifest": self.manifest,
        }

    async def skip(self, _context: StepContext) -> bool:
        """Return False: models, campaign and popularity stay those of the base."""
        return False

    async def snapshot(self, context: StepContext) -> bool:
        """Write the interactions since the last import, the users to score, and the lists of new items.

        Raises Permanent when no full run serves the users.
        """
        run, settings = context.run, self.steps.settings
        base = await self.steps.runs.base(run.tenant)
        if base is None:
            raise Permanent(
                f"no full run of tenant {run.tenant} is served, so there are no models to make lists with: "
                "start a full run, or activate the generation of one"
            )
        number, models = base
        is_vip = run.kind == "vip"
        scope = OverlayScope(
            base=number,
            vip_share=run.options.get("vip_share", settings.vip_share) if is_vip else 0.0,
            window_days=int(run.options.get("vip_window_days", settings.vip_window_days)),
            last_import=await self.steps.runs.last_import(run, number),
            length=settings.list_length,
        )
        prefix = f"{run.prefix}snapshot/"
        await self.steps.files.abort_uploads(prefix)
        files, counts = await self.steps.snapshots.take_overlay(run.tenant, prefix, scope)
        for reason, count in asdict(counts).items():
            metrics.SCOPE.labels(reason).inc(count)
        documents = {name: file.document() for name, file in files.items()}
        await context.report(1.0, base=number, models=models, files=documents, **asdict(counts))
        return True

    async def imports(self, context: StepContext) -> bool:
        """Add the newer interactions to the imported ones; return False if there are too few."""
        files = context.of("snapshot")["files"]
        if files["interactions"]["rows"] < (LEAST_ROWS_ON_AMAZON if self.steps.settings.amazon else 1):
            return False
        group = await self.steps.dataset_group(context)
        job = await self.steps.import_file(context, group, "INTERACTIONS", files, "INCREMENTAL")
        await context.report(1.0, jobs={"INTERACTIONS": job})
        return True

    async def batch(self, context: StepContext) -> bool:
        """Compute the lists of the users; return False without users."""
        snapshot = context.of("snapshot")
        if not snapshot["files"]["user-ids"]["rows"]:
            return False
        by_user = [
            recipe
            for recipe in recipes(amazon=self.steps.settings.amazon)
            if recipe.inputs == "users" and recipe.name in snapshot["models"]
        ]
        jobs = await gather(
            self.steps.infer(context, recipe, snapshot["models"][recipe.name]["version"], snapshot["files"])
            for recipe in by_user
        )
        names = [recipe.name for recipe in by_user]
        await context.report(1.0, jobs=dict(zip(names, jobs, strict=True)))
        return True

    async def manifest(self, context: StepContext) -> bool:
        """Write the manifest; return False if there are no lists. Permanent for a job without output."""
        jobs: dict[str, Any] = context.of("batch").get("jobs", {})
        files = await self.steps.batch_files(context, jobs)
        new_items = context.of("snapshot")["files"][SIMILAR]
        if new_items["rows"]:
            files[SIMILAR] = [new_items]
        await self.steps.write_manifest(context, jobs, files)
        return bool(files)


def by_kind(full: Mapping[str, Step], overlay: Mapping[str, Step]) -> Mapping[str, Step]:
    """Return the steps by name, each of which does what the kind of its run needs."""

    def chosen(name: str) -> Step:
        async def step(context: StepContext) -> bool:
            return await (full if context.run.kind == "full" else overlay)[name](context)

        return step

    return {name: chosen(name) for name in full}
