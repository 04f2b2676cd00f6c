"""Valid values from a JSON Schema, with names of resources that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

Schema = Mapping[str, Any]

OPTIONAL_SHARE = 0.5
"""The share of examples that have an optional member."""

_DEEPEST = 6


@dataclass(frozen=True)
class Examples:
    """Makes values that a schema allows.

    `known` maps the name of a member or parameter to valid values that the schema does not state.
    """

    known: Mapping[str, Sequence[Any]]
    definitions: Mapping[str, Schema]
    random: Random

    def value(self, schema: Schema, name: str = "", depth: int = 0) -> Any:
        """Return a value for the member `name`."""
        if name in self.known:
            value = self.random.choice(self.known[name])
            return value() if callable(value) else value
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        for union in ("anyOf", "oneOf"):
            if union in schema:
                choices = [option for option in schema[union] if option.get("type") != "null"]
                return self.value(self.random.choice(choices), "", depth)
        return self._of_type(schema, depth)

    def _resolved(self, schema: Schema) -> Schema:
        if "$ref" in schema:
            return self.definitions[schema["$ref"].rpartition("/")[2]]
        if len(schema.get("allOf", ())) == 1:
            return self._resolved(schema["allOf"][0])
        return schema

    def _of_type(self, schema: Schema, depth: int) -> Any:
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                least = schema.get("minItems", 0)
                count = self.random.randint(least, max(least, min(3, schema.get("maxItems", 3))))
                return [self.value(schema.get("items", {}), "", depth + 1) for _ in range(count)]
            case "string":
                return self._text(schema)
            case "integer" | "number":
                return self._number(schema)
            case "boolean":
                return self.random.random() < 0.5
        return self.random.choice(["text", 1, None])

    def _number(self, schema: Schema) -> float:
        least, most = schema.get("minimum", 1), schema.get("maximum", 100)
        if schema["type"] == "integer":
            return self.random.randint(int(least), int(max(least, min(least + 40, most))))
        return round(self.random.uniform(max(least, -1e3), min(most, 1e3)), 3)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        made = {
            name: self.value(member, name, depth + 1)
            for name, member in schema.get("properties", {}).items()
            if name in required or (depth < _DEEPEST and self.random.random() < OPTIONAL_SHARE)
        }
        for pattern_free in ("additionalProperties", "patternProperties"):
            values = schema.get(pattern_free)
            if isinstance(values, Mapping) and "properties" not in schema:
                inner = next(iter(values.values())) if pattern_free == "patternProperties" else values
                names = self._resolved(schema.get("propertyNames", {})).get("enum", ["CATEGORY"])
                made[self.random.choice(names)] = self.value(inner, "", depth + 1)
        return made

    def _text(self, schema: Schema) -> str:
        if schema.get("format") == "date-time":
            return f"2026-11-{self.random.randint(1, 28):02}T12:00:00Z"
        text = f"text-{self.random.randrange(1000)}"
        return text[: schema.get("maxLength", 100)].ljust(schema.get("minLength", 0), "x")
