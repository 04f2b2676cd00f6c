"""IAM and STS for programs that were written for AWS: calls are accepted and recorded, and have no effect.

Keys and scopes of Endcap (docs/security.md) alone decide what a caller may do.

See docs/decisions/0016-aws-protocols.
"""
