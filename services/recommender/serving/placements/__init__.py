"""Placements: what a storefront shows at one place of its pages.

    request       what is requested: the placement, the visitor, the item, the cart, the category
    visitor       the events, purchases and location of the visitor, read once
    candidates    an item that a strategy proposes, why, and what a step dropped
    strategies    one class per strategy, each of which proposes items
    selection     the proposed items that are in the answer, each once, and those that are left out
    rules         the steps that drop, move and add candidates
    explanations  the reasons of an answer, as sentences
    engine        all of it in order: one answer

See docs/placements.md.
"""
