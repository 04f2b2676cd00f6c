"""Keys as they are made and encrypted, and origins as they are kept."""

import pytest

from shared.auth import decrypt, encrypt, new_access_key, new_api_key, new_secret_key, normalized_origin
from shared.errors import Permanent
from tests.unit.shared.authenticators import SECRET_KEY


def test_keys_say_what_they_are_for_and_differ() -> None:
    assert new_api_key("ingest").startswith("ek_ingest_")
    assert new_api_key("ingest") != new_api_key("ingest")
    access_key_id, secret = new_access_key()
    assert (len(access_key_id), len(secret)) == (20, 40)


def test_an_aws_secret_comes_back_with_the_same_secret_key_only() -> None:
    encrypted = encrypt("secret", SECRET_KEY)

    assert b"secret" not in encrypted
    assert decrypt(encrypted, SECRET_KEY) == "secret"
    with pytest.raises(Permanent, match="another ENDCAP_SECRET_KEY"):
        decrypt(encrypted, new_secret_key())
    with pytest.raises(Permanent, match="32 bytes"):
        encrypt("secret", "short")


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example/", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("https://müller.example", "https://xn--mller-kva.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(written: str, origin: str) -> None:
    assert normalized_origin(written) == origin


@pytest.mark.parametrize(
    "written",
    [
        *("", "*", "null", "shop.example", "https://", "ftp://shop.example", "https://*.shop.example"),
        *("https://shop.example/path", "https://shop.example?a", "https://user@shop.example"),
        *("https://shop.example:99999", "https://a b", "https://[::1"),
    ],
)
def test_what_is_no_origin_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        normalized_origin(written)
