"""aws-semantic-similarity: items that read alike, whether or not anybody touched them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from services.engine.recipes import assembly, content, tables, weights
from services.engine.recipes.dataset import Dataset
from services.engine.recipes.recipe import Progress, Recipe, excluded_columns
from services.engine.recipes.room import tally
from shared.errors import Permanent
from shared.models import Model, Neighbours, Part, Scoring

_KEEP = 500


def _fit(dataset: Dataset, config: Mapping[str, Any], progress: Progress, _: Model | None = None) -> Model:
    progress("read what items say", 0.1)
    counted = weights.counted(dataset, config) if len(dataset) else dataset
    left_out = excluded_columns(config, "ITEMS", dataset.item_columns)
    kinds = {name.upper(): column.dtype for name, column in dataset.item_columns.items()}
    if not any(kind.kind == "O" for name, kind in kinds.items() if name not in left_out):
        raise Permanent(
            "The Items dataset has no column of text: aws-semantic-similarity needs a name and a textual or "
            "categorical column."
        )
    said = content.vectors(dataset, left_out)
    progress("compare items", 0.3)
    table = alike(_nothing(len(dataset.item_ids)) if said is None else said)
    progress("assemble", 0.9)
    popular = tally(counted.items, len(counted.item_ids)).astype(np.float32)
    fitted = assembly.model(
        RECIPE.name,
        counted,
        Scoring(kind="item", scored=False),
        fame=popular,
        parts=[Part("words", table)],
        notes={"interactions": len(counted)},
    )
    progress("done", 1.0)
    return fitted


def _nothing(items: int) -> sparse.csr_array:
    """No word that two items share."""
    return sparse.csr_array(np.zeros((items, 1), np.float32))


def alike(said: sparse.csr_array) -> Neighbours:
    """Each item's neighbours by the cosine of their words; `said` is items × words with rows of length 1."""
    spoken = said.T.tocsr()

    def rows(begin: int, end: int) -> sparse.csr_array:
        block = (said[begin:end] @ spoken).tocoo()
        row, item = block.coords
        other = row + begin != item
        cosine = np.minimum(block.data[other], 1).astype(np.float32)
        return sparse.coo_array((cosine, (row[other], item[other])), shape=block.shape).tocsr()

    return tables.strongest_of_sparse(rows, said.shape[0], _KEEP, tables.height(spoken))


RECIPE = Recipe(
    name="aws-semantic-similarity",
    recipe_type="RELATED_ITEMS",
    description="Items whose names, descriptions and categories read like those of an item.",
    needs=("itemId",),
    needs_interactions=False,
    incremental=True,
    fit=_fit,
)
