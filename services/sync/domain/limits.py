"""How much one file may hold, whatever its size on the way: kilobytes can unpack to gigabytes of rows."""

from __future__ import annotations

from dataclasses import dataclass

MIN_RATIO_BYTES = 2**20
"""Unpacked bytes that the ratio is not asked of: small files of few different rows pack very well."""

MAX_COLUMNS = 1_000
"""Ten times the columns of an items dataset of Amazon Personalize (100)."""

CHUNK_BYTES = 8 * 2**20
CHUNK_CELLS = 1_000_000
"""What the rows of one transaction may hold, beside their number: the memory of an import, some 100 MiB."""

HEADER_BYTES = 2**20
"""The first line is looked for within so many unpacked bytes when a file is posted."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one import; the settings have the same names."""

    max_unpacked_bytes: int = 4 * 2**30
    """Twice of what may be posted: 2 GiB."""

    max_unpack_ratio: int = 100
    """CSV files of shops pack 5 to 30 times; DEFLATE reaches 1,032."""

    max_import_rows: int = 50_000_000
    """Twenty times the largest data set that is measured."""

    max_kept_rejects: int = 10_000
    """More than a person looks at."""

    max_kept_reject_bytes: int = 8 * 2**20
    """Of reasons and rows in UTF-8."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """How many items and users a tenant may have: each is held by every recommender, or by Redis."""

    max_items: int
    max_users: int
