"""HTTP: the recommender's API by variant; experiments and their results."""
