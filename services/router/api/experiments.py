"""The routes of experiments: define, list, read the counts, try a split."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from services.router.api.etags import IfMatch, author, etag
from services.router.api.experiment_bodies import (
    ExperimentBody,
    ExperimentResult,
    SplitBody,
    SplitRequest,
    VariantResult,
)
from services.router.domain.experiments import Definition, StoredVersion
from services.router.domain.sample_ratio import sample_ratio_p
from services.router.domain.split import assigned, sample_units, split
from shared.auth import Authenticator, Principal
from shared.events.values import LARGEST_INT4
from shared.experiments import HOLDOUT, Experiment, Slug
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.router.store.experiments import Experiments
    from services.router.store.outcome_counts import OutcomeCounts
    from services.router.store.running_experiments import RunningExperiments

Name = Annotated[Slug, Path(description="the name in the definition")]
Version = Annotated[int | None, Query(ge=1, le=LARGEST_INT4, description="by default the newest")]

NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "There is no such experiment."}
}
CHANGED: dict[int | str, dict[str, Any]] = {
    412: {"model": ErrorBody, "description": "The experiment has another revision than the ETag in If-Match."}
}
_LIMIT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorBody, "description": "The quota of experiments or of versions is reached."}
}
_NO_DRAFT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorBody, "description": "Every version has run: their counts are kept."}
}


class ExperimentRoutes:
    """The routes of definitions and counts."""

    def __init__(
        self,
        experiments: Experiments,
        counts: OutcomeCounts,
        running: RunningExperiments,
        authenticator: Authenticator,
    ) -> None:
        self._experiments = experiments
        self._counts = counts
        self._running = running
        self._admin = Depends(authenticator.require("admin"))

    def router(self) -> APIRouter:
        """Return all routes."""
        router = APIRouter(prefix="/v1/experiments", tags=["Experiments"])
        admin = self._admin

        @router.post("", operation_id="define_experiment", status_code=201, responses=_LIMIT | CHANGED)
        async def define(
            definition: Definition,
            response: Response,
            principal: Principal = admin,
            if_match: IfMatch = None,
            dry_run: Annotated[  # noqa: FBT002 - a query parameter
                bool, Query(description="check the definition and return its version, but store nothing")
            ] = False,
        ) -> ExperimentBody:
            """Define an experiment, or a new version of it; the status is 200 if nothing has changed."""
            version, is_new = await self._experiments.define(
                principal.own_tenant, definition, author(principal, if_match), dry_run=dry_run
            )
            if not is_new:
                response.status_code = 200
            response.headers["etag"] = etag(version)
            return body(version)

        @router.get("", operation_id="experiments")
        async def latest_versions(
            principal: Principal = admin,
            archived: Annotated[bool, Query(description="archived experiments too")] = False,  # noqa: FBT002 - a query parameter
        ) -> list[ExperimentBody]:
            """Return the newest version of each experiment."""
            versions = await self._experiments.latest_versions(principal.own_tenant, with_archived=archived)
            return [body(version) for version in versions]

        @router.get("/{name}", operation_id="experiment", responses=NOT_FOUND)
        async def experiment(
            name: Name, response: Response, version: Version = None, principal: Principal = admin
        ) -> ExperimentResult:
            """Return a version with its counts so far."""
            stored = await self._experiments.get(principal.own_tenant, name, version)
            response.headers["etag"] = etag(stored)
            return await self._result(stored)

        @router.delete(
            "/{name}",
            operation_id="delete_experiment_drafts",
            status_code=204,
            responses=NOT_FOUND | _NO_DRAFT | CHANGED,
        )
        async def delete(name: Name, principal: Principal = admin, if_match: IfMatch = None) -> None:
            """Delete the versions that never ran."""
            await self._experiments.delete_drafts(principal.own_tenant, name, author(principal, if_match))

        @router.post("/{name}/split", operation_id="try_experiment_split", responses=NOT_FOUND)
        async def try_split(
            name: Name, request: SplitRequest, version: Version = None, principal: Principal = admin
        ) -> SplitBody:
            """Assign invented units, and those of the request, without recording anything."""
            stored = await self._experiments.get(principal.own_tenant, name, version)
            return await asyncio.to_thread(
                _split, stored, self._running.on_surface(principal.own_tenant, HOLDOUT), request
            )

        return router

    async def _result(self, version: StoredVersion) -> ExperimentResult:
        counts = await self._counts.of(version)
        results = [
            VariantResult(
                **variant.model_dump(),
                exposed=counts.units.get(variant.name, 0),
                events=counts.outcomes.get(variant.name, {}),
            )
            for variant in version.variants
        ]
        p = await asyncio.to_thread(
            sample_ratio_p, [result.exposed for result in results], [result.weight for result in results]
        )
        return ExperimentResult(
            **body(version).model_dump(exclude={"variants"}),
            variants=results,
            sample_ratio_p=p,
            mixed_units=counts.mixed,
            crossed_users=counts.crossed,
        )


def body(version: StoredVersion) -> ExperimentBody:
    """Return a version as the API shows it."""
    return ExperimentBody.model_validate(version.model_dump())


def _split(version: StoredVersion, holdouts: Sequence[Experiment], request: SplitRequest) -> SplitBody:
    result = split(version, holdouts, sample_units(request.sample))
    variants = result.variants.keys()
    weights = [variant.weight for variant in version.variants]
    counts = [result.variants.get(variant.name, 0) for variant in version.variants]
    names = ((unit, assigned(version, holdouts, unit)) for unit in request.units)
    return SplitBody(
        variants=result.variants,
        held_out=result.held_out,
        outside=result.outside,
        sample_ratio_p=sample_ratio_p(counts, weights),
        units={unit: name if name in variants else None for unit, name in names},
    )
