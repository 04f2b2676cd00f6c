"""Former names of services.engine.training.dataset.columns."""

from services.engine.training.dataset.columns import count_numbers, take

each = take
tally = count_numbers
