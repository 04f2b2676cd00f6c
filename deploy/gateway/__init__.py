"""The gateway: one address for clients, an nginx whose configuration is rendered from tables.

`make run` starts it as a process of the local stack.

See docs/gateway.md and docs/decisions/0016-aws-protocols.
"""
