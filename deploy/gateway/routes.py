"""The routes of the gateway: by path, or by the AWS service that a request was signed for.

A row whose service does not run is left out, so a row may name a service before that exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Transfer(Enum):
    """The way of bodies through the gateway."""

    PLAIN = "plain"
    UPLOAD = "upload"
    """Large request bodies, which are forwarded while they arrive."""
    STREAM = "stream"
    """Answers without an end, which are forwarded while they are made: server-sent events, WebSockets."""
    OBJECT = "object"
    """Bodies of any size in both directions, forwarded as they are."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path and the service that answers it.

    `path` is exact. It may end with `/*`, for everything below it, or have `{name}` for one segment.
    """

    path: str
    service: str
    transfer: Transfer = Transfer.PLAIN


@dataclass(frozen=True, slots=True)
class AwsService:
    """A service of AWS: its name in signatures, the prefix of its `X-Amz-Target`, and who answers.

    Without `target` the operations of the service are named by path or in the body. Without `service` nobody
    answers yet; name one to route it.
    """

    scope: str
    title: str
    target: str | None = None
    service: str | None = None
    transfer: Transfer = Transfer.PLAIN


ROUTES: tuple[Route, ...] = (
    # Events, items and users, in every wire format.
    Route("/v1/events", "tracker"),
    Route("/v1/events/*", "tracker"),
    Route("/v1/stats", "tracker"),
    Route("/v1/conflicts", "tracker"),
    Route("/v1/intake-rules", "tracker"),
    Route("/api/personalize/track/*", "tracker"),
    Route("/shopify/events", "tracker"),
    Route("/api/v1/shopify/events", "tracker"),
    Route("/events", "tracker"),
    Route("/items", "tracker"),
    Route("/users", "tracker"),
    Route("/actions", "tracker"),
    Route("/action-interactions", "tracker"),
    # Clients of Segment and RudderStack.
    *(
        Route(f"/v1/{name}", "tracker")
        for name in (
            *("track", "identify", "page", "screen", "group", "alias", "batch", "import"),
            *("t", "i", "p", "s", "g", "a", "b"),
        )
    ),
    Route("/v1/projects/{key}/settings", "tracker"),
    Route("/beacon/v1/batch", "tracker"),
    Route("/pixel/v1/*", "tracker"),
    Route("/sourceConfig", "tracker"),
    Route("/sourceConfig/", "tracker"),
    # Clients of PostHog, Snowplow and Google Analytics.
    *(
        Route(f"{path}{slash}", "tracker")
        for path in ("/batch", "/capture", "/e", "/i/v0/e", "/flags", "/decide")
        for slash in ("", "/")
    ),
    Route("/com.snowplowanalytics.snowplow/tp2", "tracker"),
    Route("/i", "tracker"),
    Route("/mp/collect", "tracker"),
    Route("/debug/mp/collect", "tracker"),
    # Orders and the catalogue.
    Route("/v1/imports", "sync", Transfer.UPLOAD),
    Route("/v1/imports/*", "sync"),
    Route("/v1/webhooks/*", "sync"),
    Route("/v1/sources", "sync"),
    Route("/v1/sources/*", "sync"),
    Route("/v1/categories", "sync"),
    Route("/v1/items", "sync"),
    Route("/v1/items/*", "sync"),
    Route("/v1/users", "sync"),
    Route("/v1/users/*", "sync"),
    Route("/v1/orders", "sync"),
    Route("/v1/orders/*", "sync"),
    # Training runs and generations.
    Route("/v1/runs", "trainer"),
    Route("/v1/runs/*", "trainer"),
    Route("/v1/schedules", "trainer"),
    Route("/v1/schedules/*", "trainer"),
    Route("/api/v1/ml/status", "trainer"),
    Route("/api/v1/ml/train", "trainer"),
    Route("/v1/generations", "loader"),
    Route("/v1/generations/*", "loader"),
    Route("/v1/quality", "loader"),
    # Recommendations.
    Route("/api/v1/placements", "recommender"),
    Route("/api/v1/placements/*", "recommender"),
    Route("/api/v1/placements/{name}/stream", "recommender", Transfer.STREAM),
    Route("/api/v1/pages", "recommender"),
    Route("/v1/recommendations", "recommender"),
    Route("/v1/recommendations/*", "recommender"),
    Route("/v1/placements/{name}/preview", "recommender"),
    Route("/v1/placements/{name}/replay", "recommender"),
    Route("/v1/placements/{name}/explanation", "recommender"),
    Route("/api/v1/personalize/*", "recommender"),
    Route("/api/personalize/recommendations", "recommender"),
    Route("/api/personalize/recommendations/*", "recommender"),
    Route("/api/v1/ab-test/*", "recommender"),
    Route("/api/v1/ml/ab-test/*", "recommender"),
    Route("/api/v1/ml/recommendations/*", "recommender"),
    Route("/shopify/*", "recommender"),
    Route("/api/v1/shopify/*", "recommender"),
    Route("/recommendations", "recommender"),
    Route("/personalize-ranking", "recommender"),
    Route("/action-recommendations", "recommender"),
    Route("/graphql", "recommender"),
    Route("/graphql/realtime", "recommender", Transfer.STREAM),
    # Experiments.
    Route("/v1/experiments", "router"),
    Route("/v1/experiments/*", "router"),
    # Metrics, reports and SQL; /health for dashboards that ask for it.
    Route("/health", "analytics"),
    Route("/v1/metrics/*", "analytics"),
    *(
        Route(f"/api/v1/{path}", "analytics")
        for path in (
            *("analytics/*", "auth/*", "export/*", "locations/*", "recommendations/popular"),
            *("ml/rfm-segments", "ml/top-products", "ml/product-pairs", "ml/customer-similarity"),
            *("ml/collaborative-products", "ml/precompute", "ml/precomputed/*"),
        )
    ),
    Route("/v1/sql", "analytics"),
    Route("/v1/sql/*", "analytics"),
    # The control plane.
    Route("/v1/placements", "engine"),
    Route("/v1/placements/*", "engine"),
    Route("/v1/keys", "engine"),
    Route("/v1/keys/*", "engine"),
    Route("/v1/status", "engine"),
    Route("/v1/erasures/*", "engine"),
    Route("/v1/user-exports/*", "engine"),
    Route("/v1/user-keys/*", "recommender"),
    Route("/2015-03-31/functions/*", "engine"),
    Route("/v1/dead-letters", "engine"),
    Route("/v1/dead-letters/*", "engine"),
    # Pages for people.
    Route("/dashboard", "dashboard"),
    Route("/dashboard/*", "dashboard"),
    Route("/shop", "shop"),
    Route("/shop/*", "shop"),
)

AWS_SERVICES: tuple[AwsService, ...] = (
    # The events and the runtime of Personalize have paths of their own, and the same name in signatures.
    AwsService("personalize", "Personalize", "AmazonPersonalize.", "engine"),
    AwsService("s3", "S3", None, "s3", Transfer.OBJECT),
    AwsService("sts", "STS", None, "engine"),
    AwsService("iam", "IAM", None, "engine"),
    AwsService("states", "Step Functions", "AWSStepFunctions.", "trainer"),
    AwsService("lambda", "Lambda", None, "engine"),
    AwsService("dynamodb", "DynamoDB", "DynamoDB_20120810.", "loader"),
    AwsService("athena", "Athena", "AmazonAthena.", "analytics"),
    AwsService("glue", "Glue", "AWSGlue.", "analytics"),
    AwsService("logs", "CloudWatch Logs", "Logs_20140328.", "trainer"),
    AwsService("monitoring", "CloudWatch", "GraniteServiceVersion20100801.", "trainer"),
    AwsService("mobiletargeting", "Pinpoint"),
)
