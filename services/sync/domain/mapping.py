"""Mappings: which column of a file is which field, and how its dates and numbers are written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping as Values
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from shared.errors import Permanent
from shared.events.envelope import Name, Text
from shared.events.field_aliases import normalized_name

Kind = Literal["orders", "items", "users", "interactions"]
KINDS: tuple[Kind, ...] = ("orders", "items", "users", "interactions")


@dataclass(frozen=True, slots=True)
class FileFields:
    """The fields of a kind of file. With `keeps_attributes`, other columns become attributes."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    keeps_attributes: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """Return all fields that a column can be mapped to."""
        return self.required + self.optional


FILE_FIELDS: dict[Kind, FileFields] = {
    "orders": FileFields(
        ("order_id", "ordered_at", "product_id", "quantity"),
        (
            "line", "user_id", "customer_name", "product_name", "category", "price",
            "currency", "city", "province", "country", "kind",
        ),
    ),
    "items": FileFields(
        ("item_id",),
        ("name", "category", "price", "currency", "created_at", "available"),
        keeps_attributes=True,
    ),
    "users": FileFields(("user_id",), ("name", "city", "province", "country"), keeps_attributes=True),
    "interactions": FileFields(
        ("event_type", "timestamp"),
        ("user_id", "session_id", "item_id", "value", "quantity", "price", "event_id"),
        keeps_attributes=True,
    ),
}  # fmt: skip

DATE_FIELDS: dict[Kind, str] = {"orders": "ordered_at", "items": "created_at", "interactions": "timestamp"}
"""The field that contains the dates of each kind of file."""


class Mapping(BaseModel):
    """The file format of one source. `columns` maps a field to a column of the file; see `FILE_FIELDS`.

    A field that `columns` omits is read from the column of the same name, without case, spaces and
    punctuation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Name = "custom"
    columns: dict[Text, Text] = {}
    constants: dict[Text, Text] = Field({}, description="field → its value in every row")
    date_formats: tuple[Text, ...] = Field(
        (),
        description="strptime formats; by default ISO 8601 or seconds since 1970. If a format is listed with "
        "the month first and with the day first, the dates of a file decide for the whole file",
    )
    timezone: Text = Field("UTC", description="time zone of dates without one, such as Europe/Berlin")
    decimal: Literal[".", ","] = Field(
        ".", description="decimal mark; spaces, apostrophes, and dots if it is a comma, group thousands"
    )
    delimiter: Text | None = Field(None, min_length=1, max_length=1)
    encoding: Literal["utf-8", "cp1252", "latin-1"] | None = None
    cancellation_prefix: Text | None = Field(
        None, min_length=1, description="orders whose id starts with this are cancellations"
    )
    service_codes: frozenset[Text] = Field(
        frozenset(), description="product ids that are not products, such as POSTAGE"
    )
    upper_case_products: bool = Field(False, description="convert product ids to upper case")
    whole_user_ids: bool = Field(False, description="read the user 17850.0 of a spreadsheet as 17850")
    inherits_kind: bool = Field(
        False, description="an order line without a kind has that of the row before it in its order"
    )
    guest_ids: frozenset[Text] = Field(frozenset(), description="ids of users that stand for a guest")
    prices_of_lines: bool = Field(False, description="a price is that of a whole line, not of one piece")
    positive_price: bool = Field(False, description="reject order lines without a price above zero")

    @model_validator(mode="before")
    @classmethod
    def _one_date_format(cls, data: object) -> object:
        """Accept `date_format` for `date_formats` with one format."""
        if isinstance(data, dict) and isinstance(data.get("date_format"), str):
            members = {name: value for name, value in data.items() if name != "date_format"}
            return {**members, "date_formats": [data["date_format"]]}
        return data

    @field_validator("date_formats")
    @classmethod
    def _check_date_formats(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for form in formats:
            try:
                datetime.strptime("", form)  # noqa: DTZ007 - only the format is of interest
            except re.error as error:
                raise ValueError(f"{form!r} contains a part of the date twice") from error
            except ValueError as error:
                if "does not match" not in str(error):
                    raise
        return formats

    @field_validator("delimiter")
    @classmethod
    def _check_delimiter(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (delimiter in '"\r\n\0 ' or delimiter.isalnum()):
            raise ValueError(f"{delimiter!r} cannot separate columns; use a comma, a semicolon or a tab")
        return delimiter

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is not a time zone; write it like Europe/Berlin") from error
        return name

    @classmethod
    def parse_json(cls, document: bytes | str, source: str | None = None) -> Self:
        """Return the mapping in a JSON document, named `source` if that is given. Raises Permanent."""
        try:
            mapping = cls.model_validate_json(document)
            return cls.model_validate(mapping.model_dump() | {"source": source}) if source else mapping
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'the document'}: {problem['msg']}"
                for problem in error.errors()[:5]
            )
            raise Permanent(f"The mapping is not valid: {problems}.") from error


@dataclass(frozen=True, slots=True)
class Layout:
    """The column index of each field in one file, and (name, index) of the columns that are attributes."""

    columns: Values[str, int]
    attribute_columns: tuple[tuple[str, int], ...]

    def __getitem__(self, field: str) -> int:
        """Return the column index of a field, or -1 if the file does not have it."""
        return self.columns.get(field, -1)


def find_columns(mapping: Mapping, kind: Kind, header: list[str]) -> Layout:
    """Return the layout of a file. Raises Permanent for missing, repeated and unknown columns."""
    file_fields = FILE_FIELDS[kind]
    _check_fields(mapping, kind)
    indexes: dict[str, list[int]] = {}
    for index, name in enumerate(header):
        indexes.setdefault(normalized_name(name), []).append(index)
    columns: dict[str, int] = {}
    missing: list[str] = []
    for field in file_fields.fields:
        column = mapping.columns.get(field, field)
        matching = indexes.get(normalized_name(column), [])
        if len(matching) > 1:
            raise Permanent(f"The header has the column {column} {len(matching)} times.")
        if matching:
            columns[field] = matching[0]
        elif field in mapping.columns or (field in file_fields.required and field not in mapping.constants):
            missing.append(column if column == field else f"{column} (for {field})")
    if missing:
        raise Permanent(_missing_columns(missing, kind, mapping, header))
    return Layout(columns, _attribute_columns(header, columns) if file_fields.keeps_attributes else ())


def _attribute_columns(header: list[str], columns: Values[str, int]) -> tuple[tuple[str, int], ...]:
    used = set(columns.values())
    return tuple((name, index) for index, name in enumerate(header) if index not in used and name)


def _check_fields(mapping: Mapping, kind: Kind) -> None:
    known = FILE_FIELDS[kind].fields
    for field in (*mapping.columns, *mapping.constants):
        if field not in known:
            raise Permanent(
                f"The mapping names the field {field}, but {kind} have the fields {', '.join(known)}."
            )


def _missing_columns(missing: list[str], kind: Kind, mapping: Mapping, header: list[str]) -> str:
    names = ", ".join(name[:60] for name in header[:40]) or "nothing"
    return (
        f"The file lacks {_listed(missing)}, which the mapping {mapping.source} needs for {kind}. "
        f"Its header has: {names}. Send a mapping that says which column is which, "
        f'such as {{"columns": {{"{FILE_FIELDS[kind].required[0]}": "{header[0][:60]}"}}}}.'
    )


def _listed(names: Iterable[str]) -> str:
    *head, last = names
    return f"the columns {', '.join(head)} and {last}" if head else f"the column {last}"
