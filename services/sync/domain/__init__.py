"""Parse files into rows, rows into orders, and merge updates into the states of items and users.

See docs/decisions/0019-shop-files.
"""
