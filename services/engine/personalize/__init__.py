"""The Personalize control plane: one module for each type of resource, and one table of operations."""
