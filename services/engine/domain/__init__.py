"""The rules of the engine. They do no I/O."""
