"""Input files of batch jobs (JSON Lines), and the parsing of a line."""

from __future__ import annotations

import codecs
from typing import Any

import orjson

from services.engine.domain.locations import INVALID_OUTPUT_PATH, Location, as_folder, parse
from services.engine.store.objects import Object, ObjectStorage


def input_files(
    objects: ObjectStorage, source: Location, output: Location, error_prefix: str
) -> list[tuple[Object, str]]:
    """Return each input file with the key of its output, `<name>.out` below the output folder.

    `source` is an object, a folder, or a prefix of keys. Input and output may be in one folder: outputs of
    an earlier attempt, or of another job, are not read as input.

    Raises Permanent with `error_prefix` when there is no file, or when an output may not be written.
    """
    file = objects.find(source, error_prefix)
    files = [file] if file is not None else objects.matching(source, error_prefix)
    base = _folder_of(files, source)
    names = {file.key: file.key.removeprefix(base) for file in files}
    keys = {key: f"{as_folder(output.key)}{name}.out" for key, name in names.items()}
    for key in keys.values():
        # An input's name may hold any character, so the key of its output is checked as well.
        objects.check_writable(parse(f"s3://{output.bucket}/{key}", INVALID_OUTPUT_PATH), INVALID_OUTPUT_PATH)
    outputs = set(keys.values()) if output.bucket == source.bucket else set()
    return [(file, keys[file.key]) for file in files if file.key not in outputs]


def _folder_of(files: list[Object], source: Location) -> str:
    """Return the folder that the names of outputs are relative to."""
    folder = as_folder(source.key)
    if all(file.key.startswith(folder) for file in files):
        return folder
    parent, slash, _ = source.key.rpartition("/")
    return parent + slash


def read_json(raw: bytes) -> tuple[Any, str | None]:
    """Return the value of a line and None, or the line as text and an error message.

    A byte order mark, which Windows programs write at the start of a file, is ignored.
    """
    raw = raw.removeprefix(codecs.BOM_UTF8)
    text = raw.decode(errors="replace").rstrip("\r\n")
    try:
        value = orjson.loads(raw)
        orjson.dumps(value)
    except TypeError:  # orjson reads deeper nesting than it writes
        return text, "The line is nested too deep."
    except ValueError:
        return text, "The line is not valid JSON."
    return value, None
