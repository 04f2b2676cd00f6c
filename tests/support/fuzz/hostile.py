"""Values that often expose bugs: texts, numbers, shapes, invalid JSON."""

from __future__ import annotations

import string
from random import Random
from typing import Any

from tests.support.fuzz.documents import Raw

LONG_TEXT = "".join(Random(3_000).choices(string.ascii_letters + string.digits, k=3_000))
"""Longer than an entry of a Postgres index may be, and incompressible."""

TEXTS: tuple[str, ...] = (
    "",
    " ",
    "\t\r\n",
    "\x00",
    "a\x00b",
    "\ud800",
    "a\udfff\ud800b",
    "a" * 257,
    "a" * 1_025,
    LONG_TEXT,
    "é" * 3_000,
    "\U0001f4a5" * 200,
    "..",
    "../../../etc/passwd",
    "a/../b",
    "a/b/c",
    "%00",
    "%zz",
    "%2F..%2F",
    "'; DROP TABLE resources; --",
    "{0}${a}%s%(a)s",
    "\u202e\ufeff\uffff\u200b",
    "\x01\x1f\x7f\x85",
    "-1",
    "0",
    "1e400",
    "NaN",
    "-Infinity",
    "null",
    "true",
    "9" * 20,
    "9" * 400,
    "2147483648",
    "9223372036854775808",
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59.999999Z",
    "2026-02-30",
    "2026-01-01T00:00:00",
    "1969-12-31T23:59:59Z",
    "-62135596801",
    "253402300800",
    "arn:",
    "arn:aws:personalize:us-east-1:999999999999:campaign/other",
    "arn:aws:personalize:::recipe/none",
    "arn:aws:personalize:eu-west-1:000000000000:dataset-group/../a",
    "arn:aws:personalize:eu-west-1:000000000000:solution/a/b/c/d",
    "arn:aws:personalize:eu-west-1:000000000000:filter/" + "a" * 200,
    "arn:aws:personalize:eu-west-1:000000000000:campaign/a\x00b",
    "s3://",
    "s3:///",
    "s3://nobody-has-this-bucket/a.csv",
    "s3://a b/\x00",
    "https://example.org/a",
    "AAAA",
    "====",
    "QUFBQQ" * 200,
    "rate(0 days)",
    "rate(99999999 days)",
    "(" * 500,
    "\\" * 301,
    '"' * 301,
    "[" * 3_000,
)

COMMON_TEXTS: tuple[str, ...] = ("\x00", "a\x00b", "\ud800", LONG_TEXT, "", "9" * 20)
"""The texts that find most faults."""

COMMON_NUMBERS: tuple[Any, ...] = (-1, 2**31, 2**63, Raw("1e400"), Raw("NaN"))

BIG_TEXT = "b" * 2**20
"""Rarely used, since it costs milliseconds."""

NUMBERS: tuple[Any, ...] = (
    -1,
    0,
    1,
    2**31 - 1,
    2**31,
    -(2**31) - 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**64,
    10**30,
    0.5,
    -0.0,
    1e15,
    1e308,
    5e-324,
    253_402_300_800,
    -62_135_596_801,
    Raw("1e400"),
    Raw("-1e400"),
    Raw("1e-400"),
    Raw("NaN"),
    Raw("Infinity"),
    Raw("-Infinity"),
    Raw("01"),
    Raw("1."),
    Raw("9" * 5_000),
)

SHAPES: tuple[Any, ...] = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"a": {"b": {"c": []}}},
    {"\x00": "\x00"},
    {"\ud800": 1},
    {LONG_TEXT: "a"},
    ["a", 1, None, True, {}],
    ["a"] * 600,
    {f"member{number}": "a" for number in range(300)},
)

BROKEN: tuple[Raw, ...] = (
    Raw('"\udcff\udcfe"'),
    Raw('"\udced\udca0\udc80"'),
    Raw('"\\ud800"'),
    Raw('"\\u0000"'),
    Raw('"\\uZZZZ"'),
    Raw('"unterminated'),
    Raw(""),
    Raw("nul"),
    Raw("'a'"),
    Raw("[1,]"),
    Raw('{"a":1,"a":2}'),
    Raw('{"a"}'),
    Raw("{}{}"),
    Raw("/**/1"),
    Raw("[" * 300 + "]" * 300),
    Raw("[" * 10_000 + "]" * 10_000),
    Raw('{"a":' * 10_000 + "1" + "}" * 10_000),
    Raw("[" * 10_000),
)
