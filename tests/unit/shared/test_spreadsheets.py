"""Cells that a spreadsheet must not read as formulas."""

from __future__ import annotations

import pytest

from shared.spreadsheets import as_text


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_calculate_becomes_text(cell: str) -> None:
    assert as_text(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "1,-2", "Cup = 1", "'=1"])
def test_any_other_cell_stays_as_it_is(cell: str) -> None:
    assert as_text(cell) == cell
