"""Former names of services.engine.training.dataset.aggregates."""

from collections.abc import Mapping

from services.engine.training.dataset.aggregates import MatrixRequest


def Asked(  # noqa: N802
    matrix: str, weights: Mapping[str, float], fade: float = 1.0, reach: int = 10
) -> MatrixRequest:
    """Return a request by its former name."""
    return MatrixRequest("transitions" if matrix == "followers" else "gram", weights, fade, reach)
