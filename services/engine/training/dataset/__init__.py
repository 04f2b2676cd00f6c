"""Training data: interactions, items and users as columns, and how they are split."""
