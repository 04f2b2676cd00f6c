"""Former names of services.engine.training.methods.gram."""

from services.engine.training.methods.gram import gram_matrix

added_up = gram_matrix
