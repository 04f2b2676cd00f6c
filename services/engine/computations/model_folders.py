"""Model folders in the data bucket: download a model and check it, upload one with its manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from services.engine.store.objects import ObjectStorage, sha256_of
from shared import folders, models
from shared.errors import Permanent
from shared.models import Model


@dataclass(frozen=True, slots=True)
class ModelFile:
    """An entry of the manifest: one file of a model folder."""

    name: str
    bytes: int
    sha256: str


def download(prefix: str, sha256: str, objects: ObjectStorage, folder: Path) -> Model:
    """Copy the model below a prefix of the data bucket to `folder` and map it into memory.

    Raises Permanent unless the fingerprint of the copy is `sha256`.
    """
    for file in objects.below(objects.data_bucket, prefix):
        objects.download(file.bucket, file.key, folders.inside(folder, file.key.removeprefix(prefix)))
    if not folder.is_dir() or models.fingerprint(folder) != sha256:
        raise Permanent(
            f"The model in {prefix} is not the one that was trained: train a new solution version."
        )
    return models.load(folder)


def upload(folder: Path, prefix: str, fingerprint: str, objects: ObjectStorage) -> None:
    """Copy the files of a model below `prefix`, then write the manifest `<prefix>.manifest.json`.

    The manifest comes last and is outside the prefix: its presence says that the folder is complete.
    """
    files = []
    for path in sorted(folder.iterdir()):
        objects.upload(path, objects.data_bucket, f"{prefix}{path.name}", "The model can't be stored.")
        files.append(ModelFile(path.name, path.stat().st_size, sha256_of(path)))
    manifest = {"version": 1, "sha256": fingerprint, "files": [asdict(file) for file in files]}
    objects.put(orjson.dumps(manifest, option=orjson.OPT_INDENT_2), f"{prefix.rstrip('/')}.manifest.json")
