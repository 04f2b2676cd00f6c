"""The tracker's HTTP API: recording events in each wire format, and reading the log."""

from services.tracker.api.client_routes import client_routes
from services.tracker.api.client_settings import client_settings_routes
from services.tracker.api.collector import Collector
from services.tracker.api.events import event_routes
from services.tracker.api.intake import Intake
from services.tracker.api.log import log_routes
from services.tracker.api.personalize import personalize_operations
from services.tracker.api.rules import rule_routes
from services.tracker.api.track import track_routes

__all__ = [
    "Collector",
    "Intake",
    "client_routes",
    "client_settings_routes",
    "event_routes",
    "log_routes",
    "personalize_operations",
    "rule_routes",
    "track_routes",
]
