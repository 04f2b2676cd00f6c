"""The comparison with published figures, on a data set of a few lines."""

from __future__ import annotations

from tests.load.quality.__main__ import comparison
from tests.load.quality.direct import Direct
from tests.load.quality.lines import Thresholds, table
from tests.load.quality.scores import recall
from tests.load.quality.tasks import Figure, Task, catalogue, interactions


def test_a_task_is_measured_beside_popularity() -> None:
    rows = [(f"u{user}", f"i{(user + place) % 12}", 60 * place) for user in range(40) for place in range(6)]
    relevant = {f"u{user}": [f"i{(user + 6) % 12}"] for user in range(40)}
    figures = (Figure("HR@10", recall(10), Thresholds(minimum=0.0)),)
    items = catalogue({f"i{item}" for item in range(12)})
    task = Task("ring", "aws-user-personalization", interactions(rows), items, relevant, figures)

    (line,) = comparison(Direct(), task)

    assert 0 <= line.value <= 1
    assert line.popular is not None
    assert "| ring " in table([line])
