"""Former module of services.engine.training.methods.tfidf."""

from services.engine.training.methods.tfidf import *  # noqa: F403
