"""What the engine's workers do: imports, trainings, batch inferences, and clearing up."""
