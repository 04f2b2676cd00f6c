"""Placements: what a storefront shows at one place of its pages.

    request       what is requested: the placement, the visitor, the item, the cart, the category
    candidates    an item that a strategy proposes, why, and what a step dropped
    strategies    one class per strategy, each of which proposes items
    rules         the steps that drop, move and add candidates
    explanations  the reasons of an answer, as sentences
    engine        all of it in order: one answer

See docs/placements.md.
"""
