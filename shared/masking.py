"""Masking of passwords in text that people read: settings, logs and error messages."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_plus

MASK: Final = "********"

# user:password@ of a URL (RFC 3986, section 3.2.1). The password ends at the last @, since people forget to
# encode an @ or a slash in it; digits before a slash are a port.
_USERINFO: Final = re.compile(r"(?<=://)([^:/@\s?#]*):(?!\d{1,5}[/?#])((?:(?!://)\S)+)@")
# Parameters of a query string, whose names may be percent-encoded.
_PARAMETER: Final = re.compile(r"(?<=[?&;])([^=&;#\s]{1,100})=([^&#\s]*)")
# `host=db password=…`, the keyword format of libpq.
_KEYWORD: Final = re.compile(
    r"\b(password|sslpassword|passfile)(\s*=\s*)('(?:[^'\\]|\\.)*'|\"[^\"]*\"|[^\s,;)&]+)", re.IGNORECASE
)
_SECRET_NAME: Final = re.compile(
    r"passw|passfile|passphrase|^pass$|pwd|secret|token|apikey|accesskey|credential|signature|^sig$"
)


def masked(text: str) -> str:
    """Return the text with asterisks for each password, above all in URLs.

    It masks user information and parameters such as `password`, `sslpassword`, `passfile` and `token`.
    """
    if "://" not in text and "=" not in text:
        return text
    text = _USERINFO.sub(rf"\1:{MASK}@", text)
    text = _PARAMETER.sub(_parameter, text)
    return _KEYWORD.sub(rf"\1\2{MASK}", text)


def _parameter(match: re.Match[str]) -> str:
    name = re.sub(r"[-_.]", "", unquote_plus(match[1]).lower())
    return f"{match[1]}={MASK}" if _SECRET_NAME.search(name) else match[0]
