"""The tracker's HTTP: intake in each wire format, and a little reading."""

from services.tracker.api.backend import backend_routes
from services.tracker.api.intake import Intake
from services.tracker.api.native import native_routes
from services.tracker.api.personalize import personalize_operations
from services.tracker.api.reading import reading_routes

__all__ = [
    "Intake",
    "backend_routes",
    "native_routes",
    "personalize_operations",
    "reading_routes",
]
