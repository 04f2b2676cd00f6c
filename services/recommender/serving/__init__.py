"""The steps that make one recommendation.

`recommender` has the steps in order, each in a module of its own:

    query         what is requested: user, item, number of items, filter, promotion, context
    targets       what answers: the model of a campaign, or the precomputed lists of a recipe
    candidates    the items of a list, where there is no model
    scoring       the items of a model, scored by the user's recent events
    exploration   the bonus that young items get in a score
    filtering     the items that a filter lets pass
    blending      promoted items at random positions among the others
    metadata      columns of the items, where the request asks for them

`precomputed` is the shorter way of the REST API without a campaign: lists as they are, filled up with popular
items, already encoded as JSON. docs/serving.md has the rules of answers.

See docs/decisions/0029-serving.
"""
