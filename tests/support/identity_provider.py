"""A certified OpenID Connect provider for tests (npm's oidc-provider); its accounts need no password."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

FOLDER = ROOT / "tests" / "support" / "oidc"

_ACTION = re.compile(r'action="([^"]+)"')


@contextmanager
def identity_provider(client: Mapping[str, Any], accounts: Mapping[str, Any]) -> Iterator[str]:
    """Run a provider with one client, and accounts with their claims; yield its issuer."""
    program = str(ROOT / "deploy" / "local" / "install-node")
    subprocess.run([program, "tests"], cwd=ROOT, check=True, timeout=PATIENCE, capture_output=True)
    configuration = json.dumps({"clients": [client], "accounts": accounts})
    program = str(ROOT / ".local" / "bin" / "node")
    with subprocess.Popen(
        [program, "provider.js", configuration], cwd=FOLDER, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield next(line for line in process.stdout if line.startswith("http")).strip()
        finally:
            process.terminate()


async def log_in(address: str, account: str) -> str:
    """Log in at the provider as a browser does; return the address that it leads back to."""
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as browser:
        for form in ({"prompt": "login", "login": account, "password": "any"}, {"prompt": "consent"}):
            page, address = await _follow(browser, address)
            action = _ACTION.search(page.text)
            assert action is not None, page.text
            answer = await browser.post(urljoin(address, action[1]), data=form)
            address = urljoin(address, answer.headers["location"])
        while address.startswith(str(page.url.copy_with(path="/", query=None))):
            answer = await browser.get(address)
            address = urljoin(address, answer.headers["location"])
    return address


async def _follow(browser: httpx.AsyncClient, address: str) -> tuple[httpx.Response, str]:
    """Return the page at the end of redirects within the provider, and its address."""
    answer = await browser.get(address, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer, str(answer.url)
