"""A small shop with tastes: each user keeps to the items of one of four shelves."""

from __future__ import annotations

import random

SHELVES = 4
ITEMS = 60
USERS = 120
EVENTS = 15

INTERACTIONS_SCHEMA = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
        {"name": "EVENT_TYPE", "type": "string"},
        {"name": "EVENT_VALUE", "type": ["null", "float"]},
    ],
    "version": "1.0",
}
ITEMS_SCHEMA = {
    "type": "record",
    "name": "Items",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [
        {"name": "ITEM_ID", "type": "string"},
        {"name": "CATEGORY", "type": ["null", "string"], "categorical": True},
        {"name": "PRICE", "type": "float"},
    ],
    "version": "1.0",
}


def interactions_csv(users: int = USERS, *, seed: int = 7) -> str:
    """Every user's events, mostly on their own shelf."""
    chance = random.Random(seed)
    rows = ["USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE"]
    for user in range(users):
        for event in range(EVENTS):
            item = chance.randrange(ITEMS // SHELVES) * SHELVES + user % SHELVES
            if chance.random() < 0.1:
                item = chance.randrange(ITEMS)
            kind = chance.choice(["View", "AddToCart", "Purchase"])
            rows.append(f"u{user},i{item},{1_700_000_000 + event * 3600 + user},{kind},")
    return "\n".join(rows) + "\n"


def items_csv() -> str:
    """Every item with its shelf."""
    rows = [f"i{item},shelf-{item % SHELVES},{1 + item / 10}" for item in range(ITEMS)]
    return "\n".join(["ITEM_ID,CATEGORY,PRICE", *rows]) + "\n"
