"""Offline metrics: of ranked lists, and of user segments."""
