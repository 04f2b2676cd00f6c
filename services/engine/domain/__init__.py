"""The rules of the engine, without clock, network or database."""
