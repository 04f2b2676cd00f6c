"""HTTP: what the recommender answers, by variant; experiments and their results."""
