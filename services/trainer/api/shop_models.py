"""HTTP: the models as dashboards of existing shops ask for them. See docs/reports.md."""

# No `from __future__ import annotations`: FastAPI cannot resolve annotations defined inside a function.
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from services.trainer.api.runs import require_tenant
from services.trainer.domain import recipes
from services.trainer.domain.model_status import NOTHING_TRAINED
from services.trainer.store import Runs
from shared.auth import Authenticator, Principal

PREFIX = "/api/v1/ml"


class Algorithms(BaseModel):
    """The kinds of algorithms that the newest models and lists have."""

    collaborative_filtering: bool = Field(description="models of what users have in common")
    content_based: bool = Field(description="similar items with the words of a catalogue")
    matrix_factorization: bool = Field(description="always false: no recipe of a run factorizes a matrix")
    popularity_based: bool = Field(description="lists of popular items")


class ModelStatus(BaseModel):
    """The models of the newest completed full run."""

    is_trained: bool
    training_timestamp: datetime | None = Field(description="the end of the training; null before the first")
    model_metadata: dict[str, Any] = Field(
        description="`run`, the offline metrics of each of the `models`, and the names of the `lists`"
    )
    algorithms: Algorithms


class TrainingAnswer(BaseModel):
    """The models that there are, and the run that was requested."""

    status: Literal["queued", "trained"] = Field(description="trained: there are models, so no run was begun")
    successful_models: int = Field(description="models of the newest completed full run")
    total_models: int = Field(description="models that a run trains")
    run: int | None = Field(description="the run that was requested: follow it at /v1/runs/{run}")


def router(authenticator: Authenticator, runs: Runs, *, amazon: bool) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix=PREFIX, tags=["runs"])
    Reader = Annotated[Principal, Depends(authenticator.require("read"))]  # noqa: N806
    Administrator = Annotated[Principal, Depends(authenticator.require("admin"))]  # noqa: N806

    @routes.get("/status", operation_id="model_status")
    async def model_status(principal: Reader) -> ModelStatus:
        """Return which models there are."""
        training = await runs.newest_training(principal.own_tenant)
        if training is None:
            return ModelStatus(
                is_trained=False,
                training_timestamp=None,
                model_metadata={},
                algorithms=Algorithms(**NOTHING_TRAINED),
            )
        return ModelStatus(
            is_trained=bool(training.models),
            training_timestamp=training.trained_at,
            model_metadata=training.metadata,
            algorithms=Algorithms(**training.algorithms),
        )

    @routes.post("/train", operation_id="train_models")
    async def train_models(
        principal: Administrator,
        *,
        force_retrain: Annotated[
            bool, Query(description="whether to request a run although there are models")
        ] = False,
        time_filter: Annotated[  # noqa: ARG001 - programs send it
            str, Query(max_length=1_000, description="changes nothing: models train on all data")
        ] = "all",
    ) -> TrainingAnswer:
        """Request a training run if there are no models yet, or if it is forced."""
        tenant = principal.own_tenant
        await require_tenant(runs, tenant)
        training = await runs.newest_training(tenant)
        trained = 0 if training is None else len(training.models)
        run = None
        if force_retrain or not trained:
            run = (await runs.request(tenant, "asked for by a shop's dashboard")).run
        return TrainingAnswer(
            status="trained" if run is None else "queued",
            successful_models=trained,
            total_models=len(recipes(amazon=amazon)),
            run=run,
        )

    return routes
