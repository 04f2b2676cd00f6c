"""Authentication and authorization: API keys, AWS key pairs (SigV4), the service key, keyless loopback.

A service creates one `Authenticator` and guards a route with `Depends(authenticator.require("read"))`. A raw
ASGI route calls `authenticator.known(scope)` first, which costs a few microseconds and never waits, and
`await authenticator.of_scope(scope, body)` if that returns None.

See docs/decisions/0012-keys.
"""

from shared.auth.authenticator import Authenticator
from shared.auth.credentials import (
    decrypt,
    encrypt,
    hash_key,
    new_access_key,
    new_api_key,
    new_secret_key,
)
from shared.auth.origins import normalized_origin
from shared.auth.principal import PAIR_SCOPES, SCOPES, AuthError, Principal, Scope
from shared.auth.s3_signatures import s3_key_pair
from shared.auth.sigv4 import SIGNED_FOR
from shared.auth.tenants import tenants_of

__all__ = [
    "PAIR_SCOPES",
    "SCOPES",
    "SIGNED_FOR",
    "AuthError",
    "Authenticator",
    "Principal",
    "Scope",
    "decrypt",
    "encrypt",
    "hash_key",
    "new_access_key",
    "new_api_key",
    "new_secret_key",
    "normalized_origin",
    "s3_key_pair",
    "tenants_of",
]
