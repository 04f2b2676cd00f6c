"""Locations of files in the object store, and the kinds that their names tell."""

from __future__ import annotations

import re
from typing import NamedTuple

from services.sync.domain.mapping import KINDS, Kind
from services.sync.domain.uploads import MAX_KEY_BYTES
from shared.errors import Permanent

_LOCATION = re.compile(r"s3://(?P<bucket>[a-zA-Z0-9][a-zA-Z0-9._-]{0,254})/(?P<key>.+)", re.DOTALL)
_FILE = re.compile(r"[^/]*\.csv(\.gz)?", re.IGNORECASE)
_KIND = re.compile(rf"(?P<kind>{'|'.join(KINDS)})", re.IGNORECASE)


class ObjectLocation(NamedTuple):
    """A bucket and the key of an object in it."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """Return the location as a URI."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def filename(self) -> str:
        """Return the part of the key after its last slash."""
        return self.key.rpartition("/")[2]


def parse_location(uri: str) -> ObjectLocation:
    """Return the location of a CSV file. Raises Permanent for any other text."""
    match = _LOCATION.fullmatch(uri)
    if match is None:
        raise Permanent(f"{uri[:200]!r} is not the location of an object; it has the form s3://bucket/key.")
    location = ObjectLocation(match["bucket"], match["key"])
    if len(location.key.encode(errors="replace")) > MAX_KEY_BYTES:
        raise Permanent(f"The key of the object is longer than {MAX_KEY_BYTES} bytes.")
    # A store that keeps objects as files could take them for folders.
    if "\x00" in location.key or not {".", ".."}.isdisjoint(location.key.split("/")):
        raise Permanent(f"{location.uri!r} has a part that no key of a file has: `.`, `..` or a NUL.")
    if _FILE.fullmatch(location.filename) is None:
        raise Permanent(f"{location.uri} is not a file that ends with .csv or .csv.gz; name one of these.")
    return location


def kind_of_file(filename: str) -> Kind:
    """Return the kind with which the name of a file begins. Raises Permanent if there is none."""
    match = _KIND.match(filename)
    if match is None:
        raise Permanent(
            f"The name {filename} does not begin with one of {', '.join(KINDS)}; send the kind of the file."
        )
    return next(kind for kind in KINDS if kind == match["kind"].lower())
