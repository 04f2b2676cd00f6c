"""Commands of an operator. `services.engine.__main__` names each by path, so that only it is imported."""
