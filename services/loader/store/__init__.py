"""Access of the loader to Postgres, Redis and the object store."""

from services.loader.store.activations import Activations, RedisState
from services.loader.store.caches import Caches
from services.loader.store.cleanup import GenerationCleanup
from services.loader.store.erasures import Erasures
from services.loader.store.files import Files
from services.loader.store.generations import Generation, Generations, GenerationState
from services.loader.store.quality import Quality, UnmeasuredLists

__all__ = [
    "Activations",
    "Caches",
    "Erasures",
    "Files",
    "Generation",
    "GenerationCleanup",
    "GenerationState",
    "Generations",
    "Quality",
    "RedisState",
    "UnmeasuredLists",
]
