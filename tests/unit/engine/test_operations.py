"""The table of operations says what botocore's model of Amazon Personalize says."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from services.engine.personalize.operations import TABLE

MODEL = botocore.session.get_session().get_service_model("personalize")

# A token that the service did not give out has an error of its own, whatever is in it.
ANOTHER_ERROR = ("nextToken", "\u2603 no")


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


@pytest.mark.parametrize(
    "request_model", [row.request for row in TABLE.values() if "tags" in members(row.request)]
)
def test_tags_of_amazons_own_are_refused_everywhere(request_model: type[BaseModel]) -> None:
    def messages(key: str, value: str) -> list[str]:
        with pytest.raises(ValidationError) as caught:
            request_model.model_validate({"tags": [{"tagKey": key, "tagValue": value}]})
        return [problem["msg"] for problem in caught.value.errors() if problem["loc"][0] == "tags"]

    for key, value in (("aws:cloudformation:stack-name", "shop"), ("stack", "aws:shop")):
        assert ["must not begin with aws:" in message for message in messages(key, value)] == [True]
    assert messages("laws:stack", "AWS") == []


SNOWMAN = "\u2603 no"


def _wrong_values(shape: Any) -> list[Any]:
    """Values that a shape's documented limits, pattern or words forbid."""
    least, most = (shape.metadata.get(name) for name in ("min", "max"))
    match shape.type_name:
        case "string":
            wrong: list[Any] = ["a" * (most + 1)] if most else []
            wrong += [""] if least else []
            wrong += ["SOMETHING_ELSE"] if shape.enum else []
            wrong += [SNOWMAN] if shape.metadata.get("pattern") and not shape.enum else []
        case "integer" | "long" | "float" | "double":
            wrong = [least - 1] if least is not None else []
            wrong += [most + 1] if most is not None else []
        case "list":
            wrong = [[_sample(shape.member)] * (most + 1)] if most else []
            wrong += [[]] if least else []
        case "map":
            wrong = [{f"k{number}": _sample(shape.value) for number in range(most + 1)}] if most else []
        case _:
            wrong = []
    return wrong


def _sample(shape: Any) -> Any:
    """Something of the shape's type, whether allowed or not."""
    return {"structure": {}, "list": [], "map": {}, "string": "a"}.get(shape.type_name, 1)


def _places(shape: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Every place of a request where a limit holds, with a value that is wrong there."""
    places = [(path, value) for value in _wrong_values(shape)] if path else []
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                places += _places(member, (*path, name))
        case "list":
            places += _places(shape.member, (*path, 0))
        case "map":
            places += [((*path, key), _sample(shape.value)) for key in _wrong_values(shape.key)]
            places += _places(shape.value, (*path, KEYS.get(path[-1], "ITEMS")))
    return places


# A key that a map takes, where that is not any name.
KEYS = {"rankingInfluence": "POPULARITY"}
CASES = [
    (operation, path, value)
    for operation in sorted(TABLE)
    for path, value in _places(MODEL.operation_model(operation).input_shape)
    if (path[0], value) != ANOTHER_ERROR
]


def _body(path: tuple[Any, ...], value: Any) -> Any:
    for step in reversed(path):
        value = [value] if step == 0 else {step: value}
    return value


def _refused(operation: str, path: tuple[Any, ...], value: Any) -> bool:
    """Tell whether a request with this value at this place is refused, and for that place."""
    try:
        TABLE[operation].request.model_validate(_body(path, value))
    except ValidationError as error:
        return path in {cause["loc"][: len(path)] for cause in error.errors()}
    return False


def test_the_server_checks_what_boto3_does_not() -> None:
    assert {operation for operation, _, _ in CASES} == set(TABLE)
    assert not [case for case in CASES if not _refused(*case)]


def _nested(shape: Any, model: Any) -> list[str]:
    """Members of a structure that a model lacks, at any depth."""
    lacking = []
    for name, member in shape.members.items():
        if member.type_name != "structure":
            continue
        inner = _model_in(members(model)[name].annotation)
        if inner is None:
            continue
        lacking += [f"{name}.{each}" for each in set(member.members) - set(members(inner))]
        lacking += _nested(member, inner)
    return lacking


def _model_in(annotation: Any) -> type[BaseModel] | None:
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)), None)


@pytest.mark.parametrize("operation", sorted(TABLE))
def test_no_member_inside_a_structure_is_lost(operation: str) -> None:
    assert not _nested(MODEL.operation_model(operation).input_shape, TABLE[operation].request)
