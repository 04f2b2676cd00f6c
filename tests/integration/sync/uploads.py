"""An uploaded file of orders, and the notice of it."""

from __future__ import annotations

from shared.events import ObjectNotice

ORDERS = b"order_id,ordered_at,product_id,quantity\n1,2026-03-01,a,1\n"


def a_notice(bucket: str, key: str) -> ObjectNotice:
    return ObjectNotice.model_validate(
        {
            "Records": [
                {
                    "eventName": "s3:ObjectCreated:Put",
                    "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1, "eTag": "x"}},
                }
            ]
        }
    )
