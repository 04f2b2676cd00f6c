"""The table of operations says what botocore's model of Amazon Personalize says."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from services.engine.personalize.operations import TABLE

MODEL = botocore.session.get_session().get_service_model("personalize")

# Members that are taken and ignored, or always declined: their inside is not modelled.
OPAQUE = {"hpoConfig", "autoMLConfig", "themeGenerationConfig"}


def alias(name: str, field: FieldInfo) -> str:
    return field.alias or name


def members(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {alias(name, field): field for name, field in model.model_fields.items()}


@pytest.mark.parametrize("operation", sorted(TABLE))
def test_a_request_has_the_services_members(operation: str) -> None:
    shape = MODEL.operation_model(operation).input_shape
    fields = members(TABLE[operation].request)

    assert set(fields) == set(shape.members)
    assert {name for name, field in fields.items() if field.is_required()} == set(shape.required_members)


@pytest.mark.parametrize("operation", sorted(TABLE))
def test_an_answer_has_no_member_that_the_service_has_not(operation: str) -> None:
    shape = MODEL.operation_model(operation).output_shape
    answer = TABLE[operation].answer

    assert set(members(answer)) <= set(shape.members) if answer else shape is None


@pytest.mark.parametrize("operation", sorted(TABLE))
def test_an_operation_declares_the_services_exceptions(operation: str) -> None:
    declared = {shape.name for shape in MODEL.operation_model(operation).error_shapes}

    assert TABLE[operation].declared == declared


def _too_long(shape: Any) -> Any:
    """A value beyond a shape's documented maximum; None when it has none that can be tested."""
    most = shape.metadata.get("max")
    if most is None:
        return None
    match shape.type_name:
        case "string":
            return "a" * (most + 1)
        case "integer":
            return most + 1
        case _:
            return None


def _wrong_values(shape: Any) -> list[Any]:
    wrong = [value for value in [_too_long(shape)] if value is not None]
    if shape.type_name == "string":
        if shape.enum:
            wrong.append("SOMETHING_ELSE")
        elif shape.metadata.get("pattern") and "ASCII" not in shape.metadata["pattern"]:
            wrong.append("\u2603 no")
        if shape.metadata.get("min"):
            wrong.append("")
    if shape.type_name == "integer" and "min" in shape.metadata:
        wrong.append(shape.metadata["min"] - 1)
    return wrong


CASES = [
    (operation, name, value)
    for operation in sorted(TABLE)
    for name, shape in MODEL.operation_model(operation).input_shape.members.items()
    for value in _wrong_values(shape)
]


@pytest.mark.parametrize(("operation", "member", "value"), CASES, ids=lambda value: str(value)[:24])
def test_the_server_checks_what_boto3_does_not(operation: str, member: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        TABLE[operation].request.model_validate({member: value})

    assert member in {error["loc"][0] for error in caught.value.errors()}


def test_nested_members_are_checked_too() -> None:
    request = TABLE["CreateSolution"].request
    wrong = {
        "eventsConfig": {"eventParametersList": [{"eventType": "a", "weight": 1.5}]},
        "optimizationObjective": {"objectiveSensitivity": "EXTREME"},
        "autoTrainingConfig": {"schedulingExpression": "every day"},
        "trainingDataConfig": {"excludedDatasetColumns": {"ITEMS": ["not a column"]}},
        "algorithmHyperParameters": {"a": "b" * 1001},
    }

    with pytest.raises(ValidationError) as caught:
        request.model_validate({"name": "a", "datasetGroupArn": "x", "solutionConfig": wrong})

    found = {str(error["loc"][1]) for error in caught.value.errors() if len(error["loc"]) > 1}
    assert found == set(wrong)


def _nested(shape: Any, model: Any) -> list[str]:
    """Members of a structure that a model lacks, at any depth."""
    lacking = []
    for name, member in shape.members.items():
        if name in OPAQUE or member.type_name != "structure":
            continue
        inner = _model_in(members(model)[name].annotation)
        if inner is None:
            continue
        lacking += [f"{name}.{each}" for each in set(member.members) - set(members(inner))]
        lacking += _nested(member, inner)
    return lacking


def _model_in(annotation: Any) -> type[BaseModel] | None:
    found = [annotation, *getattr(annotation, "__args__", ())]
    return next((each for each in found if isinstance(each, type) and issubclass(each, BaseModel)), None)


@pytest.mark.parametrize("operation", sorted(TABLE))
def test_no_member_inside_a_structure_is_lost(operation: str) -> None:
    assert not _nested(MODEL.operation_model(operation).input_shape, TABLE[operation].request)
