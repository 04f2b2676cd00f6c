"""The mappings that Endcap knows by itself, and which of them a file's first line asks for."""

from __future__ import annotations

from services.sync.domain.mapping import Kind, Mapping
from shared.errors import Permanent
from shared.events.field_aliases import folded

ENDCAP = Mapping(source="endcap")
"""Endcap's own files, whose columns have our fields' names."""

_PERSONALIZE = Mapping(source="personalize", columns={"value": "EVENT_VALUE"})

# The UCI data set "Online Retail" (Chen, Sain and Guo 2012): a gift shop's invoices. Lines for postage,
# fees, samples and corrections are no products; an invoice that begins with C takes goods back.
ONLINE_RETAIL = Mapping(
    source="online-retail",
    columns={
        "order_id": "InvoiceNo",
        "product_id": "StockCode",
        "product_name": "Description",
        "quantity": "Quantity",
        "ordered_at": "InvoiceDate",
        "price": "UnitPrice",
        "user_id": "CustomerID",
        "country": "Country",
    },
    constants={"currency": "GBP"},
    # As published, and as exported from a spreadsheet in Europe: the rows of a file tell which.
    date_formats=("iso", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"),
    cancellation_prefix="C",
    service_codes=frozenset({"POST", "DOT", "M", "C2", "D", "S", "BANK CHARGES", "AMAZONFEE", "CRUK", "B"}),
    upper_case_products=True,
    whole_user_ids=True,
    positive_price=True,
)

BUILT_IN: dict[str, Mapping] = {mapping.source: mapping for mapping in (ENDCAP, ONLINE_RETAIL)}


def detect(kind: Kind, header: list[str]) -> Mapping:
    """The mapping for a file that came without one."""
    names = {folded(name) for name in header}
    if kind == "orders" and names >= {folded(name) for name in ONLINE_RETAIL.columns.values()}:
        return ONLINE_RETAIL
    if kind == "interactions" and "eventvalue" in names and "value" not in names:
        return _PERSONALIZE
    return ENDCAP


def by_name(source: str) -> Mapping:
    """A mapping by its name; Permanent says which there are."""
    try:
        return BUILT_IN[source]
    except KeyError:
        raise Permanent(
            f"There is no mapping {source!r}; there are {' and '.join(sorted(BUILT_IN))}, "
            "and any other is sent along as the field mapping."
        ) from None


def parse(document: bytes | str, source: str | None) -> Mapping:
    """Return the mapping in a JSON document, under another name if `source` is one.

    One without columns that has the name of a built-in mapping changes that one. Permanent says what is
    wrong.
    """
    own = Mapping.parse_json(document)
    known = BUILT_IN.get(source or own.source)
    if known is None or own.columns:
        return Mapping.parse_json(document, source)
    changes = own.model_dump(exclude_unset=True) | {"source": known.source}
    return Mapping.model_validate(known.model_dump() | changes)
