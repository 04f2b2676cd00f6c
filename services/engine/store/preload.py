"""Preparation of the process that computations are forked from, so that no fork repeats it."""

from __future__ import annotations

from shared import s3

s3.read_description()
