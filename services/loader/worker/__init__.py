"""Work of the loader's worker: load jobs, and the follower that keeps Redis up to date."""

from services.loader.worker.load_job import LoadJob
from services.loader.worker.redis_follower import RedisFollower

__all__ = ["LoadJob", "RedisFollower"]
