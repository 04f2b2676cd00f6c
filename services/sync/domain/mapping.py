"""Which of their columns is which of our fields, and how their dates and numbers are written."""

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
from shared.events.field_aliases import folded

Kind = Literal["orders", "items", "users", "interactions"]
KINDS: tuple[Kind, ...] = ("orders", "items", "users", "interactions")


@dataclass(frozen=True, slots=True)
class FileFields:
    """The fields of a kind of file. Other columns become attributes (or properties), where that is said."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    keeps_attributes: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that a column can be mapped to."""
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
"""The field of each kind of file that holds dates."""


class Mapping(BaseModel):
    """How one source writes its files. `columns` maps our field to their column; see `SHAPES`.

    A field that `columns` leaves out is looked for under its own name, compared without case, spaces
    and punctuation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Name = "custom"
    columns: dict[Text, Text] = {}
    constants: dict[Text, Text] = Field({}, description="our field → its value in every row")
    date_formats: tuple[Text, ...] = Field(
        (),
        description="strptime formats; without one ISO 8601, or seconds since 1970. Where a format is there "
        "with the month and with the day first, the rows of a file decide for all of them",
    )
    timezone: Text = Field("UTC", description="of dates that name none, such as Europe/Berlin")
    decimal: Literal[".", ","] = Field(
        ".", description="blanks and apostrophes group thousands, and dots where this is a comma"
    )
    delimiter: Text | None = Field(None, min_length=1, max_length=1)
    encoding: Literal["utf-8", "cp1252", "latin-1"] | None = None
    cancellation_prefix: Text | None = Field(
        None, min_length=1, description="orders whose id begins so are cancellations"
    )
    service_codes: frozenset[Text] = Field(
        frozenset(), description="product ids that are no products, such as POSTAGE"
    )
    upper_case_products: bool = Field(False, description="product ids are compared in upper case")
    whole_user_ids: bool = Field(False, description="a spreadsheet's 17850.0 is the user 17850")
    positive_price: bool = Field(False, description="refuse order lines that cost nothing")

    @model_validator(mode="before")
    @classmethod
    def _one_date_format(cls, data: object) -> object:
        """`date_format` for one is the same as `date_formats` with one."""
        if isinstance(data, dict) and isinstance(data.get("date_format"), str):
            rest = {name: value for name, value in data.items() if name != "date_format"}
            return {**rest, "date_formats": [data["date_format"]]}
        return data

    @field_validator("date_formats")
    @classmethod
    def _are_formats(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for form in formats:
            try:
                datetime.strptime("", form)  # noqa: DTZ007 - only the format is of interest
            except re.error as error:
                raise ValueError(f"{form!r} names a part of the date twice") from error
            except ValueError as error:
                if "does not match" not in str(error):
                    raise
        return formats

    @field_validator("delimiter")
    @classmethod
    def _separates(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (delimiter in '"\r\n\0 ' or delimiter.isalnum()):
            raise ValueError(f"{delimiter!r} can't part columns; it is mostly , or ; or a tab")
        return delimiter

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no time zone; write it like Europe/Berlin") from error
        return name

    @classmethod
    def parse_json(cls, document: bytes | str, source: str | None = None) -> Self:
        """Return the mapping in a JSON document, under another name if `source` is one.

        Permanent says what is wrong with it.
        """
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
    """Where each field stands in the rows of one file; -1 where it doesn't."""

    columns: Values[str, int]
    others: tuple[tuple[str, int], ...]

    def __getitem__(self, field: str) -> int:
        """The column of a field."""
        return self.columns.get(field, -1)


def find_columns(mapping: Mapping, kind: Kind, header: list[str]) -> Layout:
    """Find the columns; Permanent names those that are missing, and what was found instead."""
    shape = FILE_FIELDS[kind]
    _check_fields(mapping, kind)
    where: dict[str, list[int]] = {}
    for index, name in enumerate(header):
        where.setdefault(folded(name), []).append(index)
    columns: dict[str, int] = {}
    missing: list[str] = []
    for field in shape.fields:
        wanted = mapping.columns.get(field, field)
        found = where.get(folded(wanted), [])
        if len(found) > 1:
            raise Permanent(f"The column {wanted} stands {len(found)} times in the first line.")
        if found:
            columns[field] = found[0]
        elif field in mapping.columns or (field in shape.required and field not in mapping.constants):
            missing.append(wanted if wanted == field else f"{wanted} (for {field})")
    if missing:
        raise Permanent(_missing(missing, kind, mapping, header))
    used = set(columns.values())
    others = tuple(
        (name, index)
        for index, name in enumerate(header)
        if shape.keeps_attributes and index not in used and name
    )
    return Layout(columns, others)


def _check_fields(mapping: Mapping, kind: Kind) -> None:
    known = FILE_FIELDS[kind].fields
    for field in (*mapping.columns, *mapping.constants):
        if field not in known:
            raise Permanent(
                f"The mapping names the field {field}, which {kind} don't have; they have {', '.join(known)}."
            )


def _missing(missing: list[str], kind: Kind, mapping: Mapping, header: list[str]) -> str:
    found = ", ".join(name[:60] for name in header[:40]) or "nothing"
    return (
        f"The file lacks {_listed(missing)}, which the mapping {mapping.source} needs for {kind}. "
        f"Its first line has: {found}. Send a mapping that says which column is which, "
        f'such as {{"columns": {{"{FILE_FIELDS[kind].required[0]}": "{header[0][:60]}"}}}}.'
    )


def _listed(names: Iterable[str]) -> str:
    *head, last = names
    return f"the columns {', '.join(head)} and {last}" if head else f"the column {last}"
