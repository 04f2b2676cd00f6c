"""The built-in mappings, and how the mapping of a file is chosen."""

from __future__ import annotations

from services.sync.domain.mapping import Kind, Mapping
from shared.errors import Permanent
from shared.events.field_aliases import normalized_name

ENDCAP = Mapping(source="endcap")
"""Files whose columns have the names of the fields."""

_PERSONALIZE = Mapping(source="personalize", columns={"value": "EVENT_VALUE"})

# The UCI data set "Online Retail" (Chen, Sain and Guo 2012): a gift shop's invoices. Lines for postage,
# fees, samples and corrections are not products; an invoice number with the prefix C is a cancellation.
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
    # As published, and as exported from a spreadsheet in Europe: the dates of a file decide.
    date_formats=("iso", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"),
    cancellation_prefix="C",
    service_codes=frozenset({"POST", "DOT", "M", "C2", "D", "S", "BANK CHARGES", "AMAZONFEE", "CRUK", "B"}),
    upper_case_products=True,
    whole_user_ids=True,
    positive_price=True,
)

BUILT_IN: dict[str, Mapping] = {mapping.source: mapping for mapping in (ENDCAP, ONLINE_RETAIL)}


def detect(kind: Kind, header: list[str]) -> Mapping:
    """Return the mapping for a file that was sent without one, by its header."""
    names = {normalized_name(name) for name in header}
    if kind == "orders" and names >= {normalized_name(name) for name in ONLINE_RETAIL.columns.values()}:
        return ONLINE_RETAIL
    if kind == "interactions" and "eventvalue" in names and "value" not in names:
        return _PERSONALIZE
    return ENDCAP


def by_name(source: str) -> Mapping:
    """Return a built-in mapping by its name. Raises Permanent for an unknown name."""
    try:
        return BUILT_IN[source]
    except KeyError:
        raise Permanent(
            f"There is no mapping {source!r}; the built-in mappings are {' and '.join(sorted(BUILT_IN))}, "
            "and any other is sent in the field mapping."
        ) from None


def parse(document: bytes | str, source: str | None) -> Mapping:
    """Return the mapping in a JSON document, named `source` if that is given. Raises Permanent.

    A mapping without columns that has the name of a built-in mapping overrides members of that one.
    """
    mapping = Mapping.parse_json(document)
    builtin = BUILT_IN.get(source or mapping.source)
    if builtin is None or mapping.columns:
        return Mapping.parse_json(document, source)
    changes = mapping.model_dump(exclude_unset=True) | {"source": builtin.source}
    return Mapping.model_validate(builtin.model_dump() | changes)
