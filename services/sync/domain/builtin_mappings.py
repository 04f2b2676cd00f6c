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

# Exports of Shopify's admin (https://help.shopify.com/en/manual/orders/export-orders). The id of an order is
# in its first row alone, so orders are known by their names; products by SKUs, users by e-mail addresses.
SHOPIFY_ORDERS = Mapping(
    source="shopify-orders",
    columns={
        "order_id": "Name",
        "kind": "Financial Status",
        "user_id": "Email",
        "ordered_at": "Created at",
        "product_id": "Lineitem sku",
        "product_name": "Lineitem name",
        "quantity": "Lineitem quantity",
        "price": "Lineitem price",
        "currency": "Currency",
        "customer_name": "Billing Name",
        "city": "Shipping City",
        "province": "Shipping Province",
        "country": "Shipping Country",
    },
    date_formats=("%Y-%m-%d %H:%M:%S %z",),
    inherits_kind=True,
)
SHOPIFY_PRODUCTS = Mapping(
    source="shopify-products",
    columns={
        "item_id": "Variant SKU",
        "name": "Title",
        "category": "Type",
        "price": "Variant Price",
        "available": "Published",
    },
)
SHOPIFY_CUSTOMERS = Mapping(
    source="shopify-customers",
    columns={
        "user_id": "Email",
        "name": "First Name",
        "city": "Default Address City",
        "province": "Default Address Province Code",
        "country": "Default Address Country Code",
    },
)

# WooCommerce's own extension for exports, in the format with one row per item
# (https://woocommerce.com/document/ordercustomer-csv-export/). Ids are those of its webhooks.
WOOCOMMERCE_ORDERS = Mapping(
    source="woocommerce-orders",
    columns={
        "order_id": "order_id",
        "kind": "status",
        "user_id": "customer_id",
        "ordered_at": "date",
        "product_id": "item_product_id",
        "product_name": "item_name",
        "quantity": "item_quantity",
        "price": "item_total",
        "currency": "order_currency",
        "city": "shipping_city",
        "province": "shipping_state",
        "country": "shipping_country",
    },
    date_formats=("iso", "%Y-%m-%d %H:%M:%S"),
    guest_ids=frozenset({"0"}),
    prices_of_lines=True,
)
# The suite for imports and exports names two columns differently
# (https://woocommerce.com/document/import-and-export-of-woocommerce-orders/).
WOOCOMMERCE_SUITE_ORDERS = WOOCOMMERCE_ORDERS.model_copy(
    update={
        "source": "woocommerce-suite-orders",
        "columns": WOOCOMMERCE_ORDERS.columns | {"ordered_at": "order_date"},
    }
)

# The export of WooCommerce's products page (https://woocommerce.com/document/product-csv-importer-exporter/).
WOOCOMMERCE_PRODUCTS = Mapping(
    source="woocommerce-products",
    columns={
        "item_id": "ID",
        "name": "Name",
        "category": "Categories",
        "price": "Regular price",
        "available": "In stock?",
    },
)

_DETECTED: tuple[tuple[Kind, Mapping], ...] = (
    ("orders", ONLINE_RETAIL),
    ("orders", SHOPIFY_ORDERS),
    ("orders", WOOCOMMERCE_ORDERS),
    ("orders", WOOCOMMERCE_SUITE_ORDERS),
    ("items", SHOPIFY_PRODUCTS),
    ("items", WOOCOMMERCE_PRODUCTS),
    ("users", SHOPIFY_CUSTOMERS),
)
"""Mappings of files that are known by their headers, and the kind of each file."""

BUILT_IN: dict[str, Mapping] = {
    mapping.source: mapping for mapping in (ENDCAP, *(mapping for _, mapping in _DETECTED))
}


def detect(kind: Kind, header: list[str]) -> Mapping:
    """Return the mapping for a file that was sent without one, by its header."""
    names = {normalized_name(name) for name in header}
    for known_kind, mapping in _DETECTED:
        if kind == known_kind and names >= {normalized_name(name) for name in mapping.columns.values()}:
            return mapping
    if kind == "interactions" and "eventvalue" in names and "value" not in names:
        return _PERSONALIZE
    return ENDCAP


def by_name(source: str) -> Mapping:
    """Return a built-in mapping by its name. Raises Permanent for an unknown name."""
    try:
        return BUILT_IN[source]
    except KeyError:
        raise Permanent(
            f"There is no mapping {source!r}; the built-in mappings are {', '.join(sorted(BUILT_IN))}, "
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
