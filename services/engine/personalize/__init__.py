"""The Personalize control plane: one module per type of resource, and one table of operations."""
