"""Code that services share.

A module belongs here only if it crosses a process boundary (`events`, `aws`, `models`) or is infrastructure
without a word of retail in it, if at least two services import it today, and if one noun names it. Everything
else belongs to the one service that uses it.
"""
