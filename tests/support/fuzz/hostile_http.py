"""Parts of HTTP requests that often expose bugs: bodies, paths, queries, headers, credentials, framing."""

from __future__ import annotations

from tests.support.fuzz.hostile import LONG_TEXT

BODIES: tuple[bytes, ...] = (
    b"",
    b" ",
    b"\x00",
    b"null",
    b"[]",
    b'""',
    b"1",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"\x1f\x8b",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03not a stream",
    b"\xff" * 100,
    b"a=b&c=d",
    b"--x\r\n\r\n--x--\r\n",
    b"<?xml version='1.0'?><a/>",
    b"{" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
)

_PART = b"--frontier\r\ncontent-disposition: form-data; name=%b\r\n\r\n%b\r\n"
FORMS: tuple[bytes, ...] = (
    b"",
    b"--frontier--\r\n",
    b"--frontier",
    b"--frontier\r\n\r\nno name\r\n--frontier--\r\n",
    b"--frontier\r\ncontent-disposition: form-data\r\n\r\na\r\n--frontier--\r\n",
    b"--frontier\r\ncontent-disposition: attachment; name=kind\r\n\r\nitems\r\n--frontier--\r\n",
    _PART % (b"kind", b"items") + b"--frontier--\r\n",
    _PART % (b'"file"; filename=""', b"a") + b"--frontier--\r\n",
    _PART % (b'"file"; filename="../../a\x00.csv"', b"item_id\n1")
    + _PART % (b"kind", b"items")
    + b"--frontier--\r\n",
    _PART % (b"\"file\"; filename*=utf-8''%FF%00", b"item_id\n1")
    + _PART % (b"kind", b"items")
    + b"--frontier--\r\n",
    _PART % (b'"file"; filename="a"', b"\x1f\x8b\x08 no gzip")
    + _PART % (b"kind", b"items")
    + b"--frontier--\r\n",
    _PART % (b'"file"; filename="a"', b"\xff\xfe\x00") + _PART % (b"kind", b"items") + b"--frontier--\r\n",
    _PART % (b'"file"; filename="a"', b'"' * 70_000) + _PART % (b"kind", b"items") + b"--frontier--\r\n",
    _PART % (b'"file"; filename="a"', b"item_id\n1") * 5 + b"--frontier--\r\n",
    _PART % (b"\xff", b"\xff") * 9 + b"--frontier--\r\n",
    _PART % (b"mapping", b"m" * 300_000) + b"--frontier--\r\n",
    b"--frontier\r\n" + b"a: b\r\n" * 2_000 + b"\r\n--frontier--\r\n",
    b"--frontier\r\n" + b"a" * 70_000 + b": b\r\n\r\n--frontier--\r\n",
)
"""Multipart forms with the boundary `frontier`."""

SEGMENTS: tuple[str, ...] = (
    "%00",
    "a%00b",
    "%",
    "%zz",
    "%ff",
    "%c0%80",
    "%ed%a0%80",
    "%2e%2e",
    "%2F",
    "..",
    ".",
    "+",
    "%0d%0aX-Injected:%201",
    "%20",
    "a;b=c",
    LONG_TEXT,
    "%F0%9F%92%A5" * 60,
)
"""Parts of a path or values of a query as they are sent, with valid and invalid percent-encoding."""

QUERIES: tuple[str, ...] = (
    "&",
    "=",
    "&&&==",
    "%",
    "%zz=%zz",
    "%00=%00",
    LONG_TEXT,
    "limit=1&limit=2",
    "limit[]=1",
    "\xff=\xfe",
    "strategy=%00",
    "userId=%ff",
    "x=" + "%41" * 1_000,
)

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b""),
    (b"content-type", b"text/plain"),
    (b"content-type", b"application/json; charset=utf-16"),
    (b"content-type", b"application/json; charset=nonsense"),
    (b"content-type", b"multipart/form-data"),
    (b"content-type", b'multipart/form-data; boundary=""'),
    (b"content-type", b"multipart/form-data; boundary=\xff"),
    (b"content-type", b"application/x-www-form-urlencoded"),
    (b"content-type", b"application/x-ndjson"),
    (b"content-type", b"\xff\xfe"),
    (b"content-encoding", b"gzip"),
    (b"content-encoding", b"br, nonsense"),
    (b"accept", b"text/html;q=nonsense"),
    (b"accept-encoding", b"\xe9"),
    (b"origin", b"null"),
    (b"origin", b"http://[::1"),
    (b"origin", b"\xff"),
    (b"cookie", b"a=b; \xff=\xfe; ="),
    (b"if-none-match", b"*"),
    (b"range", b"bytes=5-1"),
    (b"expect", b"100-continue"),
    (b"x-endcap-tenant", b"\xff\xfe"),
    (b"x-endcap-tenant", b""),
    (b"x-endcap-tenant", LONG_TEXT.encode()),
    (b"x-forwarded-for", b"999.999.999.999, \xff"),
    (b"forwarded", b"for=\xff"),
    (b"traceparent", b"00-" + b"f" * 32 + b"-" + b"f" * 16 + b"-ff"),
    (b"traceparent", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00"),
    (b"traceparent", b"\xff" * 60),
    (b"tracestate", b"\xff" * 600),
    (b"amz-sdk-invocation-id", LONG_TEXT.encode()),
    (b"amz-sdk-invocation-id", b"\xff\xfe\xfd"),
    (b"amz-sdk-invocation-id", b""),
    (b"amz-sdk-request", b"attempt=99999999999999999999; max=-1"),
    (b"x-amz-target", b"AmazonPersonalize.\xff"),
    (b"x-amz-target", b"AmazonPersonalize." + LONG_TEXT.encode()),
    (b"x-amz-date", b"99991399T999999Z"),
    (b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"),
    (b"x-http-method-override", b"DELETE"),
    (b"x-retry-count", b"1e400"),
    (b"user-agent", b"\xff" * 1_000),
    (b"upgrade", b"h2c"),
)

COMMON_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"amz-sdk-invocation-id", LONG_TEXT.encode()),
    (b"amz-sdk-invocation-id", b"\xff\xfe\xfd"),
    (b"x-endcap-tenant", LONG_TEXT.encode()),
    (b"x-endcap-tenant", b"\xff\xfe"),
    (b"traceparent", b"\xff" * 60),
    (b"origin", b"http://[::1"),
)
"""Headers that services read."""

CREDENTIALS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-api-key", b""),
    (b"x-api-key", b"\xff\xfe"),
    (b"x-api-key", LONG_TEXT.encode()),
    (b"authorization", b"Basic"),
    (b"authorization", b"Basic ===="),
    (b"authorization", b"Basic \xff"),
    (b"authorization", b"Basic AAAA"),
    (b"authorization", b"Bearer"),
    (b"authorization", b"Bearer \x80"),
    (b"authorization", b"Digest a"),
    (b"authorization", b"AWS4-HMAC-SHA256"),
    (b"authorization", b"AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=;, Signature="),
    (
        b"authorization",
        b"AWS4-HMAC-SHA256 Credential=A/20260101/\xff/personalize/aws4_request, Signature=\xff",
    ),
    (
        b"authorization",
        b"AWS4-HMAC-SHA256 Credential=" + b"A" * 3_000 + b"/20260101/eu-west-1/personalize/aws4_request, "
        b"SignedHeaders=host;x-amz-date, Signature=" + b"0" * 64,
    ),
)

FRAMING: tuple[bytes, ...] = (
    b"content-length: 5\r\ncontent-length: 6\r\n",
    b"content-length: -1\r\n",
    b"content-length: +5\r\n",
    b"content-length: five\r\n",
    b"content-length: " + b"9" * 40 + b"\r\n",
    b"content-length: 3\r\ntransfer-encoding: chunked\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: nonsense\r\n",
    b"transfer-encoding: identity\r\n",
    b"no colon\r\n",
    b"a: b\x00c\r\n",
    b": empty name\r\n",
    b" folded: a\r\n b\r\n",
)
"""Header lines that make the end of the request ambiguous: a server may close the connection."""
