"""The requests of the dashboard of an existing shop, and the members that it reads of the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_FIGURES = "total_orders total_revenue unique_customers avg_order_value"
_PAIR = "product_a_id product_a_name product_b_id product_b_name co_recommendation_count combined_revenue"
_PRODUCT = "product_id product_name category price"
_SIMILAR = "customer_id customer_name similar_customers_count actual_recommendations top_shared_products"
_SEGMENT = (
    "segment_name customer_count total_revenue avg_order_value avg_orders_per_customer "
    "avg_days_since_last_order percentage"
)
_CUSTOMER = (
    "customer_id customer_name customer_phone customer_city segment total_orders total_spent last_order_date "
    "days_since_last_order days_since_purchase rfm_score"
)
_STATUSES = f"status order_count {_FIGURES.replace('total_orders ', '')} category"
_ALGORITHMS = "collaborative_filtering content_based matrix_factorization popularity_based"
_LIMITS = (
    "champion_r=30&champion_f=5&champion_m=50000&loyal_r=60&loyal_f=3&loyal_m=20000&at_risk_r_min=90"
    "&at_risk_r_max=180&at_risk_f=2&hibernating_r=180&lost_r=365&order_source=&time_filter=all"
)


class Read(NamedTuple):
    """A request: its path and query below `/api/v1`, and the members that are read of the answer.

    `members` are those of the answer (""), of an object of it, or of the rows of a list; a name may have
    parts, `oe.statuses`. Without one of `needed` the page is blank: they are there without any order, too.
    """

    path: str
    members: Mapping[str, str]
    needed: Mapping[str, str] = {}


REPORTS = (
    Read(
        "analytics/product-categories?time_filter=30days",
        {"categories": f"category product_count {_FIGURES}"},
        {"": "categories", "categories": "category"},
    ),
    Read(
        "analytics/dashboard?time_filter=custom&order_source=&delivered_only=true",
        {"": "total_revenue avg_order_value total_orders total_customers total_products "
             "top_selling_product success"},
        {"": "total_revenue avg_order_value"},
    ),
    Read(
        "recommendations/popular?limit=10&time_filter=all",
        {"recommendations": f"{_PRODUCT} avg_price total_revenue score purchase_count unique_customers"},
    ),
    Read(
        "analytics/revenue-trend?time_filter=all&period=monthly",
        {"trend_data": "period label total_revenue percentage", "summary": "max_revenue"},
    ),
    Read(
        "analytics/pos-vs-oe-revenue?time_filter=all",
        {
            "": "success",
            "summary": "total_revenue total_orders order_types_count",
            "revenue_breakdown": "order_type revenue_percentage orders_percentage unique_products "
                                 f"earliest_order latest_order {_FIGURES}",
        },
        {
            "": "revenue_breakdown top_products_per_type",
            "summary": "total_revenue total_orders order_types_count",
            "revenue_breakdown": "order_type revenue_percentage",
        },
    ),
    Read(
        "analytics/order-status-breakdown?time_filter=all",
        {
            "oe": "total_orders total_revenue statuses",
            "pos": "total_orders total_revenue statuses",
            "oe.statuses": _STATUSES,
            "pos.statuses": _STATUSES,
        },
        {"oe.statuses": "status order_count"},
    ),
    Read(
        "analytics/historical/store-channels?time_filter=all",
        {"": "success", "channels": "channel customers share_pct provinces"},
        {"": "total_historical channels", "channels": "customers"},
    ),
    Read(
        "analytics/geographic/provinces?time_filter=all",
        {"provinces": f"province region cities_covered {_FIGURES}"},
    ),
    Read(
        "analytics/geographic/cities?time_filter=all&limit=10",
        {"cities": f"city province region {_FIGURES}"},
    ),
    Read("analytics/geographic/category-by-province?time_filter=all", {"categories": "province category"}),
    Read(
        "ml/rfm-segments?time_filter=all&data_source=all",
        {"segments": _SEGMENT},
        {"segments": "segment_name"},
    ),
    Read("analytics/customers/rfm-segments?time_filter=all", {"segments": _SEGMENT}),
    Read("analytics/customers/segment-details/Lost?limit=20", {"customers": _CUSTOMER}),
    Read("analytics/customers/at-risk?limit=50", {"customers": _CUSTOMER}),
    Read(
        f"analytics/customers/rfm-custom?{_LIMITS}",
        {"": "total_customers", "segments": "segment_name customer_count percentage"},
    ),
    Read(
        "analytics/customer-profiling?time_filter=all",
        {
            "": "success total_customers total_revenue avg_order_value new_customers returning_customers",
            "geographic_distribution": "region customer_count revenue",
        },
    ),
    Read(
        "analytics/collaborative-metrics?time_filter=all",
        {"": "total_recommendations avg_similarity_score active_customer_pairs algorithm_accuracy"},
    ),
    Read(
        "analytics/collaborative-products?time_filter=all&limit=10",
        {"products": f"{_PRODUCT} recommendation_count avg_similarity_score total_revenue"},
    ),
    Read("analytics/collaborative-pairs?time_filter=all&limit=10", {"pairs": _PAIR}),
    Read("analytics/customer-similarity?time_filter=all&limit=10", {"customers": _SIMILAR}),
    Read(
        "analytics/brands/performance?time_filter=all&limit=10",
        {"brands": "brand_name total_orders total_revenue total_customers avg_order_value market_share"},
    ),
    Read(
        "analytics/products?time_filter=all&limit=10",
        {"products": f"{_PRODUCT} {_FIGURES} total_quantity_sold last_order_date"},
    ),
    Read(
        "locations/provinces?1=1&order_source=",
        {"provinces": "province order_count customer_count"},
        {"": "provinces", "provinces": "order_count customer_count"},
    ),
    Read("locations/cities", {"cities": "city province order_count customer_count"}),
    Read(
        "locations/users?limit=50",
        {"users": "customer_id customer_name city province order_count total_spent"},
    ),
    Read("ml/top-products?time_filter=all&limit=10", {"products": f"{_PRODUCT} total_revenue"}),
    Read(
        "ml/product-pairs?time_filter=all&limit=10",
        {"pairs": f"{_PAIR} confidence_score", "summary": "total_revenue avg_confidence avg_pair_value"},
    ),
    Read("ml/customer-similarity?time_filter=all&limit=10", {"customers": _SIMILAR}),
    Read(
        "ml/collaborative-products?time_filter=all&limit=10&use_ml=true",
        {"products": f"{_PRODUCT} recommendation_count"},
    ),
    Read("ml/precomputed/top_products?time_filter=all", {"data": _PRODUCT}),
)  # fmt: skip
"""Those that analytics answers."""

_ROWS = "product_id product_name score algorithm"
SERVING_AND_MODELS = (
    Read(
        "ml/status",
        {"": "is_trained training_timestamp model_metadata algorithms", "algorithms": _ALGORITHMS},
    ),
    Read(
        "ml/recommendations/{user}?n_recommendations=10",
        {"": "user_id count source", "recommendations": _ROWS},
    ),
    Read("personalize/status", {"": "is_configured"}),
    Read(
        "personalize/recommendations/{user}?num_results=5",
        {"": "user_id count source", "recommendations": _ROWS},
    ),
    Read(
        "personalize/recommendations/similar/{product}?num_results=10",
        {"": "product_id count source", "recommendations": f"{_ROWS} price"},
    ),
    Read(
        "personalize/recommendations/item-affinity/{user}?num_results=10",
        {"": "user_id count source status", "recommendations": "product_id product_name affinity_score"},
    ),
    Read(
        "personalize/recommendations/by-location?province={province}&limit_users=50&num_results=10",
        {
            "aggregated_recommendations": "product_id product_name avg_score recommended_to_users",
            "users": "customer_id customer_name city province",
        },
        {"": "aggregated_recommendations users", "users": "recommendations"},
    ),
    Read(
        "personalize/recommendations/by-segment?segment=lost&limit=10",
        {"aggregated_recommendations": "product_id product_name avg_score"},
    ),
    Read("ab-test/variant?dashboard=home&user_id={user}", {"": "variant algorithm rollout_percentage"}),
    Read("ml/ab-test/config", {"algorithms": "id name weight is_default"}),
    Read("ml/ab-test/recommendations/{user}?algorithm=usual", {"recommendations": _ROWS}),
)
"""Those that other services answer, with the names of a user, a product and a province."""


def headers(key: str | None) -> dict[str, str]:
    """Return the headers of that program, which names the type of a body without one."""
    return {"content-type": "application/json", "authorization": f"Bearer {key or 'null'}"}


def missing(answer: Any, members: Mapping[str, str]) -> Iterator[str]:
    """Yield the members that an answer does not have."""
    for where, names in members.items():
        part = answer
        for name in filter(None, where.split(".")):
            if name not in part:
                yield where
                break
            part = part[name]
        else:
            rows = part if isinstance(part, list) else [part]
            yield from (f"{where}.{name}" for row in rows for name in set(names.split()) - row.keys())


def rows(answer: Any, members: Mapping[str, str]) -> dict[str, int]:
    """Return the number of rows of each list that is read."""
    counts = {}
    for where in members:
        part = answer
        for name in filter(None, where.split(".")):
            part = part[name]
        if isinstance(part, list):
            counts[where] = len(part)
    return counts
