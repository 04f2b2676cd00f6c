"""Nothing in the tree lets anybody in, and nothing names a host that isn't ours to name."""

from __future__ import annotations

import re
from pathlib import Path

from tests.architecture.source import ROOT, tracked

CREDENTIALS = {
    "AWS access key id": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "private key": re.compile(r"-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----"),
    "RDS host": re.compile(r"\b[a-z0-9-]+\.[a-z0-9]+\.[a-z0-9-]+\.rds\.amazonaws\.com\b"),
    "12-digit account in an ARN": re.compile(
        r"arn:aws:[a-z-]+:[a-z0-9-]*:(?!000000000000|111122223333|123456789012|999999999999)\d{12}:"
    ),
    "public IP address": re.compile(
        r"(?<![\d.])(?!127\.|10\.|0\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|255\."
        # Networks for documentation, RFC 5737.
        r"|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.)"
        r"(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])(?:\.(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}(?![\d.])"
    ),
}
# Package registries are found by each machine's own configuration, never by a name in the project.
REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|repo1?\.maven|proxy\.golang|crates\.io/|deb\.debian\.org",
    re.IGNORECASE,
)
TEXT = [
    path
    for path in tracked()
    if path.suffix not in {".png", ".npy", ".gz"} and path != Path(__file__).relative_to(ROOT)
]


def test_no_file_holds_a_credential_or_names_a_registry() -> None:
    offenders = [
        f"{path}: {kind}: {match[0]}"
        for path in TEXT
        for text in [(ROOT / path).read_text(errors="replace")]
        for kind, pattern in {**CREDENTIALS, "package registry": REGISTRIES}.items()
        # Versions of four parts look like addresses.
        if not (path.parts[0] == "requirements" and kind == "public IP address")
        if (match := pattern.search(text))
    ]

    assert not offenders, "\n".join(offenders)
