"""Limits of one file after decompression: kilobytes of gzip can contain gigabytes of rows."""

from __future__ import annotations

from dataclasses import dataclass

MIN_RATIO_BYTES = 2**20
"""Decompressed bytes to which the ratio does not apply: small files of similar rows compress very well."""

MAX_COLUMNS = 1_000
"""Ten times the columns of an items dataset of Amazon Personalize (100)."""

CHUNK_BYTES = 8 * 2**20
CHUNK_CELLS = 1_000_000
"""Bytes and cells of the rows of one transaction. They bound the memory of an import to about 100 MiB."""

HEADER_BYTES = 2**20
"""Decompressed bytes of a posted file in which the header must end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one import; the settings have the same names."""

    max_unpacked_bytes: int = 4 * 2**30
    """Twice the largest file that may be posted, 2 GiB."""

    max_unpack_ratio: int = 100
    """CSV files of shops compress 5 to 30 times; DEFLATE reaches 1,032."""

    max_import_rows: int = 50_000_000
    """Twenty times the largest data set of the benchmarks."""

    max_kept_rejects: int = 10_000
    """More than a person reads. Arbitrary."""

    max_kept_reject_bytes: int = 8 * 2**20
    """Size of the kept reasons and rows in UTF-8. Arbitrary."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits of a tenant's items and users; recommenders hold them in memory, and users in Redis."""

    max_items: int
    max_users: int
