"""An authenticator on keys in memory, and requests for it."""

from typing import Any

from pydantic import SecretStr

from shared.auth import Authenticator, encrypt, hash_key, new_api_key, new_secret_key
from shared.settings import AuthSettings
from tests.support.signing import SECRET

SECRET_KEY = new_secret_key()
KEY = new_api_key("read")
SERVICE_KEY = new_api_key("service")


class Rows:
    """Stands for the two views of keys."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0
        self.api = {
            hash_key(KEY): {
                "tenant": "shop",
                "scopes": ["read"],
                "kind": "read",
                "expires_at": None,
                "allowed_origins": None,
                "requires_origin": False,
            }
        }
        self.aws = {
            "ENDCEXAMPLE": {
                "account": "000000000000",
                "secret_encrypted": encrypt(SECRET, SECRET_KEY),
                "scopes": ["ingest", "read", "catalogue", "admin"],
            }
        }

    async def fetchrow(self, text: str, *arguments: Any) -> dict[str, Any] | None:
        self.asked += 1
        if self.away:
            raise ConnectionRefusedError
        table: dict[Any, Any] = self.aws if "aws_keys_v1" in text else self.api
        return table.get(arguments[0])


def authenticator(rows: Rows, *, keyless: bool = False, unverified: str | None = None) -> Authenticator:
    settings = AuthSettings(
        endcap_secret_key=SecretStr(SECRET_KEY),
        endcap_service_key=SecretStr(SERVICE_KEY),
        endcap_keyless_loopback=keyless,
        endcap_unverified_account=unverified,
    )
    return Authenticator(rows, settings)  # only fetchrow is used


def scope(host: str | None = "10.1.2.3", /, **headers: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": "/events",
        "raw_path": b"/events",
        "query_string": b"",
        "client": (host, 1) if host else None,
        "headers": [
            (name.replace("_", "-").encode(), value.encode())
            for name, value in {"host": "localhost:8001", **headers}.items()
        ],
    }
