"""The filter language of Amazon Personalize: parse an expression, bind its parameters, apply it to a table.

    filter = Filter.parse('INCLUDE ItemID WHERE Items.GENRES IN ($GENRES) IF CurrentUser.AGE > 18')
    bound = filter.bind({"GENRES": '"comedy","drama"'})
    allowed = bound.mask(Table(item_ids, columns), user={"AGE": 20})

The engine checks expressions and filters batches; the recommender filters its answers. docs/filters.md
describes the language.

See docs/decisions/0031-filters.
"""

from shared.filters.binding import Bound
from shared.filters.errors import FilterError
from shared.filters.filter import Column, Filter
from shared.filters.placement_rules import item_condition, placement_problems
from shared.filters.table import Events, Interaction, Table

__all__ = [
    "Bound",
    "Column",
    "Events",
    "Filter",
    "FilterError",
    "Interaction",
    "Table",
    "item_condition",
    "placement_problems",
]
