"""Local copies of models, verified when they are made; those in use and the newest others are kept."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from shared import folders, s3
from shared.errors import Permanent
from shared.models import Model, fingerprint, load

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from shared.events import CampaignChanged

_SHA256 = re.compile(r"[0-9a-f]{64}")
COPYING_PREFIX = ".copying-"
"""Prefix of the names of folders in which a copy is in progress."""
ABANDONED_AFTER_SECONDS = 3600.0

log = structlog.get_logger()


class ModelCopies:
    """Copies models from the object store. Its methods block: call them in a thread."""

    def __init__(self, client: S3Client, folder: Path, keep: int) -> None:
        """Copy to folders below `folder`; keep the newest `keep` copies that are not in use."""
        self._client = client
        self._folder = folder
        self._keep = keep

    def load(self, campaign: CampaignChanged) -> Model:
        """Return the model of a campaign from its local copy, which is made first if there is none.

        Raise Permanent if the model does not have the announced SHA-256, and errors of boto3.
        """
        folder = _copy_of(self._folder, campaign.model_sha256)
        if folder.is_symlink() or (folder.is_dir() and fingerprint(folder) != campaign.model_sha256):
            log.warning("campaigns.copy_damaged", folder=str(folder))
            folders.remove(self._folder, folder.name)
        if not folder.is_dir():
            self._copy(campaign, folder)
        model = load(folder)
        return replace(model, notes={**model.notes, "sha256": campaign.model_sha256})

    def _copy(self, campaign: CampaignChanged, folder: Path) -> None:
        """Copy a model folder next to its destination, verify it, and rename it."""
        bucket, prefix = s3.split_uri(campaign.model_uri)
        prefix = prefix.rstrip("/") + "/"
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=COPYING_PREFIX) as scratch:
            copy = Path(scratch) / "model"
            copy.mkdir()
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for entry in (entry for page in pages for entry in page.get("Contents", [])):
                name = entry["Key"].removeprefix(prefix)
                s3.download(self._client, bucket, entry["Key"], folders.inside(copy, name))
            sha256 = fingerprint(copy)
            if sha256 != campaign.model_sha256:
                raise Permanent(
                    f"{campaign.model_uri} has the SHA-256 {sha256}, not {campaign.model_sha256}: "
                    "it was changed after it was announced"
                )
            try:
                copy.rename(folder)
            except OSError:
                if not folder.is_dir():  # otherwise another process was faster
                    raise

    def remove_unused(self, in_use: Collection[str]) -> list[str]:
        """Remove copies that are neither in use nor among the newest; return the names of those removed."""
        return remove_unused(self._folder, in_use, self._keep)


def remove_unused(folder: Path, in_use: Collection[str], keep: int) -> list[str]:
    """Remove copies that are not in use, except the newest `keep`; return the names of those removed.

    Several processes may share the folder. A copy that one of them removes stays mapped in the others, and is
    made again when it is needed again.
    """
    if not folder.is_dir():
        return []
    changed_at = {entry: _modified_at(entry) for entry in folder.iterdir() if entry.is_dir()}
    unused = [entry for entry in changed_at if _SHA256.fullmatch(entry.name) and entry.name not in in_use]
    removed = sorted(unused, key=changed_at.__getitem__, reverse=True)[keep:]
    # Unfinished copies of killed processes.
    abandoned_before = time.time() - ABANDONED_AFTER_SECONDS
    removed += [
        entry
        for entry, at in changed_at.items()
        if entry.name.startswith(COPYING_PREFIX) and at < abandoned_before
    ]
    for entry in removed:
        folders.remove(folder, entry.name, missing_ok=True)
    return [entry.name for entry in removed]


def _copy_of(folder: Path, sha256: str) -> Path:
    """Return the folder of a copy; raise Permanent for an invalid SHA-256."""
    if _SHA256.fullmatch(sha256) is None:
        raise Permanent(f"{sha256!r} is not a SHA-256 in hexadecimal")
    return folders.inside(folder, sha256)


def _modified_at(entry: Path) -> float:
    try:
        return entry.lstat().st_mtime
    except FileNotFoundError:  # another process was faster
        return 0.0
