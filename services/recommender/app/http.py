"""The process that answers requests: its routes, with the fast paths in front of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.api.ab_test_routes import AbTestRoutes
from services.recommender.api.campaign_experiments import CampaignExperiments
from services.recommender.api.front_end_answers import FrontEndAnswers
from services.recommender.api.graphql.assembly import GraphqlApi
from services.recommender.api.graphql.fields import Fields
from services.recommender.api.personalize_runtime import PersonalizeRuntime
from services.recommender.api.placement_answers import PlacementAnswers
from services.recommender.api.placement_explanations import ExplanationRoutes
from services.recommender.api.placement_fast_path import PlacementFastPath
from services.recommender.api.placement_previews import PreviewRoutes
from services.recommender.api.placement_replays import ReplayRoutes
from services.recommender.api.placement_streams import PlacementStreams
from services.recommender.api.placements import PlacementRoutes
from services.recommender.api.rest import RestRoutes
from services.recommender.api.rest_answers import RestAnswers
from services.recommender.api.rest_fast_path import RestFastPath
from services.recommender.api.served import ServedRoutes
from services.recommender.api.shop_routes import ShopRoutes
from services.recommender.api.status import Status
from services.recommender.api.user_keys import UserKeyRoutes
from services.recommender.api.usual_lists import UsualLists
from services.recommender.app.answers import AnswerParts
from services.recommender.app.stores import Stores
from services.recommender.serving.placements.previews import Previews
from services.recommender.serving.placements.replays import Replays
from services.recommender.serving.targets import TargetResolver
from services.recommender.store.accounts import Accounts
from services.recommender.store.erasures import ErasedServings, ErasureMarks
from services.recommender.store.serving_log import ServingLog
from services.recommender.store.subject_feed import SubjectFeed
from services.recommender.store.user_keys import UserKeys
from shared.auth import Authenticator
from shared.events.topics import EXPOSURES, SERVINGS
from shared.http.fast_path import FastPathApplication, RawFastPath
from shared.http.runtime import application
from shared.http.websockets import BoundedWebSocket
from shared.kafka import Publisher, RecordReader
from shared.observability import tracing

if TYPE_CHECKING:
    from services.recommender.settings import Settings


def build(settings: Settings) -> FastPathApplication:
    """Return the process that answers requests."""
    stores = Stores.of(settings)
    redis, catalogues = stores.redis, stores.catalogues
    authenticator = Authenticator(stores.requests, settings.auth)
    publisher = Publisher(settings.kafka, "recommender", [EXPOSURES, SERVINGS], essential=False)
    reader = RecordReader(settings.kafka, "recommender", SERVINGS)
    parts = AnswerParts.of(settings, stores, publisher)
    targets = TargetResolver(stores.campaigns)

    answers = RestAnswers(
        *(parts.precomputed, parts.recommender, targets, catalogues),
        *(parts.experiments, parts.recorder, parts.comparisons),
    )
    placement_answers = PlacementAnswers(parts.engine, catalogues, parts.recorder)
    fields = Fields(parts.pages, parts.engine, catalogues, stores.overrides, parts.recorder)
    graphql = GraphqlApi(fields, stores.overrides, authenticator)
    shop_routes = ShopRoutes.of(
        stores.requests, parts.engine, catalogues, stores.erased_users, parts.recorder, authenticator
    )
    streams = PlacementStreams(
        placement_answers,
        catalogues,
        SubjectFeed(settings.redis),
        lambda: redis.up,
        limit=settings.streams,
        seconds=settings.stream_seconds,
    )
    runtime = _runtime(stores, parts, targets, authenticator)
    status = Status(stores.active, catalogues, stores.campaigns, stores.running, lambda: redis.up)
    servings = ServingLog(reader)
    erased = ErasedServings(stores.erased_users, ErasureMarks(redis, settings.kept_answers))
    replays = Replays(parts.engine, parts.variants, servings, erased)
    previews = Previews(
        parts.engine, servings, erased, stores.campaigns, stores.filters, settings.kept_answers
    )
    app = application(
        "recommender",
        parts=[
            stores.database, stores.guarded, redis, parts.quotas, authenticator, *stores.topics,
            stores.activations, catalogues, stores.campaigns, stores.overrides, stores.running,
            publisher, parts.exposures, streams, parts.recorder.servings, parts.unseen, reader,
        ],
        routers=[
            *shop_routes.routers,
            RestRoutes(answers, status, shop_routes.audiences, authenticator).router(),
            PlacementRoutes(placement_answers, stores.placements, streams, authenticator).router(),
            AbTestRoutes(answers, parts.experiments, authenticator).router(),
            graphql.router(),
            PreviewRoutes(previews, catalogues, authenticator).router(),
            ReplayRoutes(
                replays, previews, parts.experiments, stores.placements, authenticator
            ).router(),
            ExplanationRoutes(parts.engine, placement_answers, authenticator).router(),
            ServedRoutes.of(settings, servings, erased, authenticator),
            UserKeyRoutes(UserKeys(redis, stores.requests), authenticator).router(),
            runtime.routes.router(),
        ],
        description="Recommendations for users, items and places; GraphQL; Amazon Personalize's runtime API.",
        http=settings.http,
    )  # fmt: skip
    usual_lists = UsualLists(
        *(answers, stores.lists, stores.active, stores.overrides, parts.live, catalogues),
        *(parts.experiments, parts.recorder),
    )
    front_ends = FrontEndAnswers(runtime.routes, answers, parts.experiments, catalogues, authenticator)
    raw_front = RawFastPath(graphql.realtime(app), front_ends, of_pages=True)
    rest_front = RestFastPath(raw_front, answers, usual_lists, authenticator)
    front = PlacementFastPath(
        graphql.fast_path(rest_front), placement_answers, authenticator, rest_front.direct
    )
    return FastPathApplication(
        tracing.TracedRequests(front), app, settings.http, BoundedWebSocket, front.direct, [front_ends]
    )


def _runtime(
    stores: Stores, parts: AnswerParts, targets: TargetResolver, authenticator: Authenticator
) -> PersonalizeRuntime:
    return PersonalizeRuntime(
        targets,
        parts.recommender,
        parts.item_filters,
        stores.catalogues,
        parts.explorer,
        authenticator,
        CampaignExperiments(parts.experiments, targets, Accounts(stores.requests), parts.comparisons),
        parts.recorder,
    )
