"""The copies of models on local disk: checked when they are made; those in use and the newest few stay."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from shared import folders
from shared.errors import Permanent
from shared.models import Model, fingerprint, load
from shared.s3 import split_uri

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from shared.events import CampaignChanged

_SHA256 = re.compile(r"[0-9a-f]{64}")
COPYING = ".copying-"
"""How the names of folders begin in which a copy is being made."""
ABANDONED_SECONDS = 3600.0

log = structlog.get_logger()


class Copies:
    """Copies models from the object store. What it does takes long: call it in a thread."""

    def __init__(self, s3: S3Client, folder: Path, keep: int) -> None:
        """Copies go below `folder`; of those that are not in use the newest `keep` stay."""
        self._s3 = s3
        self._folder = folder
        self._keep = keep

    def model(self, campaign: CampaignChanged) -> Model:
        """The model of a campaign, from the local copy, which is made first if need be."""
        folder = _copy_of(self._folder, campaign.model_sha256)
        if folder.is_symlink() or (folder.is_dir() and fingerprint(folder) != campaign.model_sha256):
            log.warning("campaigns.copy_spoilt", folder=str(folder))
            folders.remove(self._folder, folder.name)
        if not folder.is_dir():
            self._copy(campaign, folder)
        model = load(folder)
        return replace(model, notes={**model.notes, "sha256": campaign.model_sha256})

    def _copy(self, campaign: CampaignChanged, folder: Path) -> None:
        """Copy a model folder beside its place, check it, and move it there whole."""
        bucket, prefix = split_uri(campaign.model_uri)
        prefix = prefix.rstrip("/") + "/"
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=COPYING) as scratch:
            begun = Path(scratch) / "model"
            begun.mkdir()
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for entry in (entry for page in pages for entry in page.get("Contents", [])):
                name = entry["Key"].removeprefix(prefix)
                self._s3.download_file(bucket, entry["Key"], str(folders.inside(begun, name)))
            found = fingerprint(begun)
            if found != campaign.model_sha256:
                raise Permanent(
                    f"{campaign.model_uri} has the sha256 {found}, not {campaign.model_sha256}: "
                    "it was changed after it was announced"
                )
            try:
                begun.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was quicker
                    raise

    def tidy(self, in_use: Collection[str]) -> list[str]:
        """Remove what is neither in use nor among the newest; gives the names of what went."""
        return tidy(self._folder, in_use, self._keep)


def tidy(folder: Path, in_use: Collection[str], keep: int) -> list[str]:
    """Remove copies that no campaign names, but the newest `keep`; gives the names of what went.

    Several processes may share the folder. What one of them removes under another stays mapped there, and
    is copied again when it is wanted again.
    """
    if not folder.is_dir():
        return []
    found = {entry: _changed_at(entry) for entry in folder.iterdir() if entry.is_dir()}
    unused = [entry for entry in found if _SHA256.fullmatch(entry.name) and entry.name not in in_use]
    gone = sorted(unused, key=found.__getitem__, reverse=True)[keep:]
    # What a killed process has left of a copy.
    long_ago = time.time() - ABANDONED_SECONDS
    gone += [entry for entry, at in found.items() if entry.name.startswith(COPYING) and at < long_ago]
    for entry in gone:
        folders.remove(folder, entry.name, missing_ok=True)
    return [entry.name for entry in gone]


def _copy_of(folder: Path, sha256: str) -> Path:
    """Return where the copy of a model is. Permanent for what is not the SHA-256 of a model."""
    if _SHA256.fullmatch(sha256) is None:
        raise Permanent(f"{sha256!r} is not the SHA-256 of a model")
    return folders.inside(folder, sha256)


def _changed_at(entry: Path) -> float:
    try:
        return entry.lstat().st_mtime
    except FileNotFoundError:  # another process was quicker
        return 0.0
