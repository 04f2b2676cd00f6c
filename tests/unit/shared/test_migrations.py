"""A migration includes the tables of shared packages by one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.postgres.migrations import read_migration
from tests.architecture.source import ROOT


def test_an_include_is_replaced_by_the_file_it_names(tmp_path: Path) -> None:
    migration = tmp_path / "0001_pre_tables.sql"
    migration.write_text("SELECT 1;\n-- include shared/jobs/migrations/0001_jobs.sql\nSELECT 2;\n")

    text = read_migration(migration)

    jobs = (ROOT / "shared/jobs/migrations/0001_jobs.sql").read_text()
    assert text == f"SELECT 1;\n{jobs}\nSELECT 2;\n"


def test_a_migration_without_an_include_is_unchanged() -> None:
    for path in sorted(ROOT.glob("services/*/migrations/*.sql")):
        if "-- include " not in path.read_text():
            assert read_migration(path) == path.read_text()


def test_an_include_of_a_missing_file_is_an_error(tmp_path: Path) -> None:
    migration = tmp_path / "0001_pre_tables.sql"
    migration.write_text("-- include shared/jobs/migrations/9999_missing.sql\n")

    with pytest.raises(ValueError, match="9999_missing"):
        read_migration(migration)


@pytest.mark.parametrize(
    "line",
    [
        "-- include ../secrets.sql",
        "-- include shared/jobs/queries.sql",
        " -- include shared/jobs/migrations/0001_jobs.sql",
    ],
)
def test_any_other_comment_stays_a_comment(tmp_path: Path, line: str) -> None:
    migration = tmp_path / "0001_pre_tables.sql"
    migration.write_text(f"{line}\n")

    assert read_migration(migration) == f"{line}\n"
