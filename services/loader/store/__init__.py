"""Postgres, Redis and the object store, as the loader uses them."""

from services.loader.store.activations import Activations, Wanted
from services.loader.store.caches import Caches
from services.loader.store.cleaning import Cleaning
from services.loader.store.erasures import Erasures
from services.loader.store.files import Files
from services.loader.store.generations import Generation, Generations, State

__all__ = [
    "Activations",
    "Caches",
    "Cleaning",
    "Erasures",
    "Files",
    "Generation",
    "Generations",
    "State",
    "Wanted",
]
