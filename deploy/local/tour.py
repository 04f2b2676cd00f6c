"""Commands to try next, with ids of the loaded shop."""

from __future__ import annotations

from urllib.parse import quote

from deploy.local.components import postgres
from deploy.local.stack import Stack

# A customer with an average history, an item with similar items, and the country with the most orders.
# Postgres has no statistics of freshly loaded tables. A hundred candidates bound the work of the worst plan.
_USER = """
    WITH customers AS MATERIALIZED (
        SELECT unified_customer_id AS user_id, count(*) AS lines FROM sync.order_items
        WHERE tenant = 'default' GROUP BY 1 ORDER BY abs(count(*) - 20), 1 LIMIT 100
    )
    SELECT user_id FROM customers WHERE user_id IN (SELECT user_id FROM offline_user_recommendations)
    ORDER BY abs(lines - 20), 1 LIMIT 1
"""
_PRODUCT = """
    WITH products AS MATERIALIZED (
        SELECT product_id, count(*) AS lines FROM sync.order_items
        WHERE tenant = 'default' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100
    )
    SELECT product_id FROM products WHERE product_id IN (SELECT product_id FROM offline_similar_items)
    ORDER BY lines DESC, 1 LIMIT 1
"""
_COUNTRY = """
    SELECT country, count(*) AS lines FROM sync.order_items
    WHERE tenant = 'default' AND country <> '' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1
"""

_TEXT = """
Commands to try, in another terminal in this folder:

eval "$(make -s env)"
{commands}
make status   shows all processes and ports; make logs S=trainer-worker   shows the log of one
"""

_COMMANDS = """
# Recommendations for a customer, items similar to a product, and popular items in a country
{ask} "$ENDCAP_URL{api}/{user_path}?limit=5"
{ask} "$ENDCAP_URL{api}/similar/{product_path}?limit=5"
{ask} "$ENDCAP_URL{api}/by-location?country={country_path}"

# An unmodified boto3 program: record a product view, then get recommendations
.local/venv/bin/python - <<'PYTHON'
import os, time, boto3
boto3.client("personalize-events").put_events(
    trackingId=os.environ["ENDCAP_TRACKING_ID"], userId={user!r}, sessionId="tour",
    eventList=[{{"eventType": "view", "itemId": {product!r}, "sentAt": time.time()}}],
)
campaigns = boto3.client("personalize").list_campaigns()["campaigns"]
answer = boto3.client("personalize-runtime").get_recommendations(
    campaignArn=campaigns[0]["campaignArn"], userId={user!r}, numResults=5
)
print(*answer["itemList"], sep="\\n")
PYTHON
"""

# Responses have no line end.
_ASK = 'curl -sSfw "\\n" -H "x-api-key: $ENDCAP_READ_KEY"'
_API = "/api/v1/personalize/recommendations"


def tour(stack: Stack) -> str:
    """Return the text for the loaded shop, or an empty text if no generation is served."""
    text = commands(stack)
    return _TEXT.format(commands=text) if text else ""


def commands(stack: Stack) -> str:
    """Return the commands alone, as a shell script."""
    address = stack.environment["DATABASE_URL"]
    results = [postgres.rows(address, query) for query in (_USER, _PRODUCT, _COUNTRY)]
    if not all(results):
        return ""
    user, product, country = (str(rows[0][0]) for rows in results)
    return _COMMANDS.format(
        ask=_ASK,
        api=_API,
        user=user,
        product=product,
        user_path=quote(user, safe=""),
        product_path=quote(product, safe=""),
        country_path=quote(country, safe=""),
    )
