"""Routes of a tenant's rules of intake."""

# No `from __future__ import annotations`: FastAPI cannot resolve annotations defined inside a function.
from typing import Annotated

from fastapi import APIRouter, Depends

from services.tracker.domain.intake_rules import Rules
from services.tracker.store import IntakeRulesTable
from shared.auth import Authenticator, Principal


def rule_routes(table: IntakeRulesTable, authenticator: Authenticator) -> APIRouter:
    """Return the routes that read and change the rules."""
    router = APIRouter(tags=["Rules"])
    reader = Annotated[Principal, Depends(authenticator.require("read", "admin"))]
    administrator = Annotated[Principal, Depends(authenticator.require("admin"))]

    @router.get("/v1/intake-rules", operation_id="intake_rules", summary="The rules of intake")
    async def intake_rules(caller: reader) -> Rules:
        """Return the shop's own event types, and which events are kept out of personalization."""
        return await table.read(caller.own_tenant)

    @router.put("/v1/intake-rules", operation_id="save_intake_rules", summary="Change the rules of intake")
    async def save_intake_rules(caller: administrator, rules: Rules) -> Rules:
        """Replace the rules. They hold for events that arrive from then on, within a minute."""
        await table.save(caller.own_tenant, rules)
        return rules

    return router
