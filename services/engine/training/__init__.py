"""Training of models: datasets, the methods that score items, and sums over users on Spark."""
