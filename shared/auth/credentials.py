"""Generation and storage of credentials: API keys are stored as hashes, AWS secrets encrypted."""

from __future__ import annotations

import hashlib
import secrets
import string

from cryptography.fernet import Fernet, InvalidToken

from shared.errors import Permanent

_LETTERS = string.ascii_letters + string.digits
_CAPITALS = string.ascii_uppercase + "234567"


def new_api_key(kind: str) -> str:
    """Return a new API key whose prefix names its kind, such as `ek_ingest_…`, with 190 random bits."""
    return f"ek_{kind}_{_random(_LETTERS, 32)}"


def new_access_key() -> tuple[str, str]:
    """Return a new AWS key pair: an access key id of 20 characters and a secret of 40."""
    return f"ENDC{_random(_CAPITALS, 16)}", _random(_LETTERS, 40)


def new_secret_key() -> str:
    """Return a new ENDCAP_SECRET_KEY: a Fernet key."""
    return Fernet.generate_key().decode()


def hash_key(key: str | bytes) -> bytes:
    """Return the SHA-256 of an API key, which is stored. The keys are random, so no slow hash is needed."""
    return hashlib.sha256(key.encode() if isinstance(key, str) else key).digest()


def encrypt(secret: str, secret_key: str) -> bytes:
    """Return an AWS secret encrypted for storage; SigV4 needs the secret itself, so it can't be hashed.

    Raises Permanent if `secret_key` is not a Fernet key.
    """
    return _fernet(secret_key).encrypt(secret.encode())


def decrypt(encrypted: bytes, secret_key: str) -> str:
    """Return the AWS secret; raises Permanent if it was encrypted with another ENDCAP_SECRET_KEY."""
    try:
        return _fernet(secret_key).decrypt(encrypted).decode()
    except InvalidToken:
        message = "an AWS secret was encrypted with another ENDCAP_SECRET_KEY than this process has"
        raise Permanent(message) from None


def _fernet(secret_key: str) -> Fernet:
    try:
        return Fernet(secret_key)
    except ValueError:
        message = (
            "ENDCAP_SECRET_KEY must be 32 bytes in urlsafe base64; make one with "
            "`python -c 'from shared.auth import new_secret_key; print(new_secret_key())'`"
        )
        raise Permanent(message) from None


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
