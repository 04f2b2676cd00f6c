"""What to try next: commands that work as they stand, on ids of the shop that was loaded."""

from __future__ import annotations

from urllib.parse import quote

from deploy.local.components import postgres
from deploy.local.stack import Stack

# Somebody with a middling history, an item that is similar to others, and where most customers are.
_USER = """
    SELECT unified_customer_id FROM sync.order_items
    WHERE tenant = 'default'
      AND unified_customer_id IN (SELECT user_id FROM offline_user_recommendations)
    GROUP BY 1 ORDER BY abs(count(*) - 20), 1 LIMIT 1
"""
_PRODUCT = """
    SELECT product_id, count(*) AS lines FROM sync.order_items
    WHERE tenant = 'default' AND product_id IN (SELECT product_id FROM offline_similar_items)
    GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1
"""
_COUNTRY = """
    SELECT country, count(*) AS lines FROM sync.order_items
    WHERE tenant = 'default' AND country <> '' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1
"""

_TEXT = """
What to try, in another terminal of this folder:

eval "$(make -s env)"
{commands}
make status   shows every process and its port; make logs S=trainer-worker   what one of them says
"""

_COMMANDS = """
# What may this customer like? What goes with this product? What sells in this country?
{ask} "$ENDCAP_RECOMMENDER_URL{api}/{user_path}?limit=5"
{ask} "$ENDCAP_RECOMMENDER_URL{api}/similar/{product_path}?limit=5"
{ask} "$ENDCAP_RECOMMENDER_URL{api}/by-location?country={country_path}"

# An unmodified boto3 program: a look at a product, and what is recommended after it
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

# An answer has no line end of its own.
_ASK = 'curl -sSfw "\\n" -H "x-api-key: $ENDCAP_READ_KEY"'
_API = "/api/v1/personalize/recommendations"


def tour(stack: Stack) -> str:
    """The text for the shop that is loaded; nothing when no generation is."""
    text = commands(stack)
    return _TEXT.format(commands=text) if text else ""


def commands(stack: Stack) -> str:
    """The commands alone, as a shell reads them."""
    address = stack.environment["DATABASE_URL"]
    found = [postgres.rows(address, query) for query in (_USER, _PRODUCT, _COUNTRY)]
    if not all(found):
        return ""
    user, product, country = (str(rows[0][0]) for rows in found)
    return _COMMANDS.format(
        ask=_ASK,
        api=_API,
        user=user,
        product=product,
        user_path=quote(user, safe=""),
        product_path=quote(product, safe=""),
        country_path=quote(country, safe=""),
    )
