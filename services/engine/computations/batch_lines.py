"""The files of lines that batch jobs answer, and what a line says."""

from __future__ import annotations

import codecs
from typing import Any

import orjson

from services.engine.domain.locations import INVALID_OUTPUT_PATH, Location, as_folder, parse
from services.engine.store.objects import Object, Objects


def input_files(
    objects: Objects, source: Location, output: Location, complaint: str
) -> list[tuple[Object, str]]:
    """Return each file to answer, with the key of its answers; Permanent when there is none.

    The source is an object, a folder, or the beginning of keys. Both may be in one folder: what
    an earlier attempt, or another job, has answered there is no input.
    """
    file = objects.find(source, complaint)
    files = [file] if file is not None else objects.matching(source, complaint)
    base = _folder_of(files, source)
    names = {file.key: file.key.removeprefix(base) for file in files}
    keys = {key: f"{as_folder(output.key)}{name}.out" for key, name in names.items()}
    for key in keys.values():
        # A name below the input may hold anything: what it becomes below the output is checked, too.
        objects.check_writable(parse(f"s3://{output.bucket}/{key}", INVALID_OUTPUT_PATH), INVALID_OUTPUT_PATH)
    answers = set(keys.values()) if output.bucket == source.bucket else set()
    return [(file, keys[file.key]) for file in files if file.key not in answers]


def _folder_of(files: list[Object], source: Location) -> str:
    """Return the folder below which the names of answers begin."""
    folder = as_folder(source.key)
    if all(file.key.startswith(folder) for file in files):
        return folder
    parent, slash, _ = source.key.rpartition("/")
    return parent + slash


def read_json(raw: bytes) -> tuple[Any, str | None]:
    """What a line says; or the line as text, and what is wrong with it.

    Programs for Windows begin a file with a byte order mark, which is no part of its first line.
    """
    raw = raw.removeprefix(codecs.BOM_UTF8)
    text = raw.decode(errors="replace").rstrip("\r\n")
    try:
        given = orjson.loads(raw)
        orjson.dumps(given)
    except TypeError:  # orjson reads deeper than it writes
        return text, "The line is nested too deep."
    except ValueError:
        return text, "The line is not valid JSON."
    return given, None
