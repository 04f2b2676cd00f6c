"""Requests without credentials: those of this machine are accepted, those from elsewhere refused."""

import pytest

from shared.auth.loopback import is_loopback, refusal

HOST = (b"host", b"localhost:8001")

LOOPBACK_HOSTS = [
    b"localhost",
    b"LocalHost:8001",
    b"127.0.0.1",
    b"127.0.0.1:8001",
    b"127.255.255.254",
    b"[::1]",
    b"[::1]:8001",
    b"[0:0:0:0:0:0:0:1]:80",
    b"[::ffff:127.0.0.1]",
]
OTHER_HOSTS = [
    b"",
    b"evil.example",
    b"evil.example:8001",
    b"localhost.evil.example",
    b"127.0.0.1.nip.io",
    b"127.0.0.1@evil.example",
    b"evil.example@127.0.0.1",
    b"127.1",
    b"2130706433",
    b"0x7f000001",
    b"0.0.0.0",
    b"0.0.0.0:8001",
    b"::1",
    b"[::1",
    b"[::]",
    b"[fe80::1]",
    b"[::1%25lo]",
    b"192.168.0.10",
    b"localhost:8001:80",
    b"localhost:port",
    b"localhost, evil.example",
    b"localhost\tevil",
    b"127.0.0.1\n",
    b"127.0.0.1\x00",
    b"\xff\xfe",
    b"127.0.0.1" + b"0" * 10_000,
]
OWN_PAGES = [
    b"http://localhost:3000",
    b"http://127.0.0.1:8080",
    b"https://[::1]:80",
    b"HTTP://LOCALHOST",
    b"http://localhost/" + b"a" * 500,
]
OTHER_PAGES = [
    b"",
    b"null",
    b"http://evil.example",
    b"https://localhost.evil.example",
    b"http://localhost@evil.example",
    b"http://evil.example\\@localhost",
    b"http://localhost\\.evil.example",
    b"http://localhost:3000 https://evil.example",
    b"http://[::1",
    b"file://localhost",
    b"chrome-extension://abcdef",
    b"//localhost",
    b"localhost",
]
PROXY_HEADERS = [
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-forwarded",
    b"x-real-ip",
    b"via",
    b"cf-connecting-ip",
    b"cf-ray",
    b"true-client-ip",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"client-ip",
    b"x-remote-addr",
    b"x-original-forwarded-for",
    b"x-original-url",
    b"x-envoy-external-address",
    b"fastly-client-ip",
    b"fly-client-ip",
    b"x-azure-clientip",
    b"proxy-connection",
    b"proxy-authorization",
    b"tailscale-user-login",
]


@pytest.mark.parametrize("value", LOOPBACK_HOSTS)
def test_a_loopback_host_is_of_this_machine(value: bytes) -> None:
    assert refusal([(b"accept", b"*/*"), (b"host", value)], "127.0.0.1") is None


@pytest.mark.parametrize("value", OTHER_HOSTS)
def test_another_host_is_refused(value: bytes) -> None:
    for _ in range(2):  # the second answer may come from the cache
        assert "Host" in (refusal([(b"host", value)], "127.0.0.1") or "")


@pytest.mark.parametrize("hosts", [[], [HOST, HOST], [HOST, (b"host", b"evil.example")]])
def test_a_missing_or_repeated_host_is_refused(hosts: list[tuple[bytes, bytes]]) -> None:
    assert "Host" in (refusal(hosts, "127.0.0.1") or "")


@pytest.mark.parametrize("name", [b"origin", b"referer"])
@pytest.mark.parametrize("value", OWN_PAGES)
def test_a_page_of_this_machine_is_let_in(name: bytes, value: bytes) -> None:
    assert refusal([HOST, (name, value)], "127.0.0.1") is None


@pytest.mark.parametrize("name", [b"origin", b"referer"])
@pytest.mark.parametrize("value", OTHER_PAGES)
def test_a_page_of_another_site_is_refused(name: bytes, value: bytes) -> None:
    assert name.decode() in (refusal([HOST, (name, value)], "127.0.0.1") or "")
    assert refusal([HOST, (name, b"http://localhost"), (name, value)], "127.0.0.1") is not None


@pytest.mark.parametrize(
    ("value", "let_in"),
    [(b"same-origin", True), (b"none", True), (b"same-site", False), (b"cross-site", False), (b"", False)],
)
def test_what_the_browser_says_of_the_page_counts(value: bytes, *, let_in: bool) -> None:
    assert (refusal([HOST, (b"sec-fetch-site", value)], "127.0.0.1") is None) is let_in


@pytest.mark.parametrize("name", PROXY_HEADERS)
def test_what_a_proxy_passes_on_is_refused(name: bytes) -> None:
    for value in (b"203.0.113.9", b"127.0.0.1", b""):
        assert name.decode() in (refusal([HOST, (name, value)], "127.0.0.1") or "")


def test_http_1_0_is_refused() -> None:
    assert refusal([HOST], "127.0.0.1", "1.1") is None
    assert refusal([HOST], "127.0.0.1", "1.0") is not None


@pytest.mark.parametrize("name", [b"user-agent", b"x-request-id", b"x-endcap-tenant", b"traceparent", b"cfg"])
def test_other_headers_change_nothing(name: bytes) -> None:
    assert refusal([HOST, (name, b"x")], "127.0.0.1") is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("0.0.0.0", False),
        ("", False),
        (None, False),
    ],
)
def test_the_address_of_the_caller_is_a_loopback_address(host: str | None, *, expected: bool) -> None:
    assert is_loopback(host) is expected
    assert (refusal([HOST], host) is None) is expected
