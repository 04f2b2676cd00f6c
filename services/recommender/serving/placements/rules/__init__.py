"""The rules of a placement: the steps that drop, move and add candidates, in the order of `Rules`' fields.

    run          one application of the rules, and `apply_rules`
    sources      what rules read beside the request and the visitor
    compiled     the rules of a placement in the form that steps read
    conditions   which filter expressions an item matches, kept until the item changes
    dropping     filters, hide, fatigue, quotas: steps that look at one item at a time
    boosts       items that rise or sink within their strategy
    caps         the most items of one value of a column
    promotions   a share of the answer for some items
    pins         items at fixed positions

See docs/placements.md.
"""

from services.recommender.serving.placements.rules.compiled import RuleCompiler
from services.recommender.serving.placements.rules.run import RuleResult, RuleRun, apply_rules
from services.recommender.serving.placements.rules.sources import ItemImpressions, ItemQuotas, RuleSources

__all__ = [
    "ItemImpressions",
    "ItemQuotas",
    "RuleCompiler",
    "RuleResult",
    "RuleRun",
    "RuleSources",
    "apply_rules",
]
