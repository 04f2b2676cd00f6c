"""What the process that computations are forked from does once, so that no fork has to."""

from __future__ import annotations

from shared import s3

s3.read_description()
