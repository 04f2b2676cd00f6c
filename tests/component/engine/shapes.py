"""Walking an answer along botocore's model of it: names, types, enums, times as numbers."""

from __future__ import annotations

from typing import Any

import botocore.session

from services.engine.personalize.operations import TABLE

MODEL = botocore.session.get_session().get_service_model("personalize")
LISTS = [
    name
    for name in TABLE
    if name.startswith("List")
    and not MODEL.operation_model(name).input_shape.required_members
    # These are of one attribution, which the model calls optional and the guide does not.
    and name != "ListMetricAttributionMetrics"
]
"""The operations that list everything when they are asked for nothing."""


def differences(operation: str, body: Any, model: Any = MODEL) -> list[str]:
    """Where a body is not what the model of the operation says."""
    shape = model.operation_model(operation).output_shape
    if shape is None:
        return [] if body is None else [f"{operation} has no body"]
    return _walk(shape, body, operation)


def _walk(shape: Any, value: Any, place: str) -> list[str]:
    match shape.type_name, value:
        case "structure", dict():
            return _structure(shape, value, place)
        case "list", list():
            return [problem for each in value for problem in _walk(shape.member, each, f"{place}[]")]
        case "map", dict():
            return [problem for each in value.values() for problem in _walk(shape.value, each, f"{place}<>")]
        case _ if _is_scalar(shape, value):
            return []
    return [f"{place} is {value!r}, not a {shape.type_name}"]


def _structure(shape: Any, value: dict[str, Any], place: str) -> list[str]:
    unknown = [f"{place}.{name} is unknown" for name in value.keys() - shape.members.keys()]
    missing = [f"{place}.{name} is missing" for name in set(shape.required_members) - value.keys()]
    inside = [
        problem
        for name in value.keys() & shape.members.keys()
        for problem in _walk(shape.members[name], value[name], f"{place}.{name}")
    ]
    return unknown + missing + inside


def _is_scalar(shape: Any, value: Any) -> bool:
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "boolean": (bool,),
        "integer": (int,),
        "long": (int,),
        "float": (int, float),
        "double": (int, float),
        "timestamp": (int, float),
    }
    if isinstance(value, bool) and shape.type_name != "boolean":
        return False
    fits = isinstance(value, kinds.get(shape.type_name, ()))
    return fits and not (getattr(shape, "enum", None) and value not in shape.enum)
