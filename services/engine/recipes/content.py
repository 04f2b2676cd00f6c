"""Former names of services.engine.training.methods.tfidf."""

from services.engine.training.methods.tfidf import has_text_columns, tfidf_neighbours

told = has_text_columns
alike = tfidf_neighbours
