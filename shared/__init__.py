"""What the services have in common, and nothing more.

A module is admitted here only if it crosses a process boundary (`events`, `aws`, `models`) or is
infrastructure without a retail word in it, if at least two services import it today, and if one noun
names it. Everything else lives in the one service that uses it.
"""
