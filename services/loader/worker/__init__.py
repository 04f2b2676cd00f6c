"""Work of the loader's worker: loads, the follower that keeps Redis up to date, and measurements of lists."""

from services.loader.worker.load_job import LoadJob
from services.loader.worker.quality_measurement import QualityMeasurement
from services.loader.worker.redis_follower import RedisFollower

__all__ = ["LoadJob", "QualityMeasurement", "RedisFollower"]
