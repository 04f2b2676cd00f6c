"""Which requests an experiment can take part in."""

from __future__ import annotations

import pytest

from shared.experiments import surface_request

V1 = "/api/v1/personalize"


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        (f"{V1}/recommendations/u1", "", ("recommendations", "u1")),
        (f"{V1}/recommendations/a/b", "limit=3", ("recommendations", "a/b")),
        (f"{V1}/recommendations/item-affinity/u1", "", ("item-affinity", "u1")),
        (f"{V1}/item-affinity/u1", "", ("item-affinity", "u1")),
        (f"{V1}/recommendations/similar/i1", "userId=u%201", ("similar-items", "u 1")),
        (f"{V1}/similar-items/i1", "sessionId=s", ("similar-items", "s")),
        ("/api/personalize/recommendations", "userId=u1&numResults=3", ("recommendations", "u1")),
        ("/api/personalize/recommendations/i1", "userId=u1", ("similar-items", "u1")),
        # nobody to show it to
        (f"{V1}/similar-items/i1", "", None),
        (f"{V1}/recommendations/", "", None),
        ("/api/personalize/recommendations", "", None),
        # no surface
        (f"{V1}/recommendations/by-location", "country=Germany", None),
        (f"{V1}/recommendations/by-segment", "segment=champions", None),
        (f"{V1}/recommendations/by-segment/champions", "", None),
        (f"{V1}/recommendations/similar", "", None),
        (f"{V1}/item-affinity/by-segment", "", ("item-affinity", "by-segment")),
        (f"{V1}/status", "", None),
        ("/v1/experiments", "", None),
        # the caller has chosen
        (f"{V1}/recommendations/u1", "strategy=popularity", None),
    ],
)
def test_a_request_is_for_a_surface_and_a_unit(
    path: str, query: str, expected: tuple[str, str] | None
) -> None:
    assert surface_request(path, query) == expected
