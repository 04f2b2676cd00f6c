"""Every computation can be sent to a child process, and its result can come back as JSON."""

from __future__ import annotations

import pickle
from dataclasses import is_dataclass

import orjson
import pytest
from pydantic import TypeAdapter

from services.engine.computations import table
from services.engine.computations.computation import Computation, Result
from services.engine.computations.dataset_import import Imported, Part

COMPUTATIONS = {name: value for name, value in vars(table).items() if isinstance(value, Computation)}


@pytest.mark.parametrize("name", sorted(COMPUTATIONS))
def test_a_computation_survives_pickling(name: str) -> None:
    computation = COMPUTATIONS[name]

    assert pickle.loads(pickle.dumps(computation)) == computation
    assert is_dataclass(computation.spec)
    assert issubclass(computation.result, Result)
    TypeAdapter(computation.result)


def test_names_are_unique() -> None:
    assert len({computation.name for computation in COMPUTATIONS.values()}) == len(COMPUTATIONS)


def test_a_result_comes_back_from_json_in_its_type() -> None:
    result = Imported(parts=[Part("a", 1, 2)], null_cells={"PRICE": 3}, warnings=["few"])

    assert TypeAdapter(Imported).validate_python(orjson.loads(orjson.dumps(result))) == result
