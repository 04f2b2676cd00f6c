"""The rules of experiments: who takes part, which variant they get, what a surface is."""
