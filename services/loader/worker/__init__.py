"""The work behind the requests: loading generations, keeping Redis in step, dropping what is old."""

from services.loader.worker.following import Following
from services.loader.worker.loading import Loading

__all__ = ["Following", "Loading"]
