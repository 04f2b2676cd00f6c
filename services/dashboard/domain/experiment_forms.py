"""Definitions of experiments from forms, and forms of definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from services.dashboard.domain.experiments import Row

VARIANTS: Final = 4
"""Variants of a form; the API takes up to twenty. Arbitrary."""
SURFACES: Final = ("recommendations", "similar-items", "item-affinity", "holdout")
KEPT: Final = ("layer", "unit", "metrics")
"""Members of a definition that the form does not show, and passes on."""
DESIGNS: Final = {
    "split": "each visitor gets one variant",
    "interleaving": "each answer has items of all variants",
    "bandit": "weights follow the rewards",
    "switchback": "everybody gets the variant of the hour",
    "shadow": "variants answer too, and nobody sees it",
}
"""The designs that a form offers, and what they do."""
KEPT_OF_VARIANTS: Final = ("placement", "filter")


class DesignField(NamedTuple):
    """A member of a design in a form: its label, and the default of the router as a hint."""

    member: str
    label: str
    hint: str
    is_share: bool = False
    """Shown in percent."""


DESIGN_FIELDS: Final[Mapping[str, Sequence[DesignField]]] = {
    "interleaving": [DesignField("window_days", "Days in which events count", "7")],
    "bandit": [
        DesignField("period_minutes", "Minutes of a period", "60"),
        DesignField("reward_hours", "Hours for a reward", "24"),
        DesignField("floor", "Smallest share, %", "1", is_share=True),
    ],
    "switchback": [
        DesignField("window_minutes", "Minutes of a window", "60"),
        DesignField("burn_in_minutes", "Minutes that do not count", "0"),
    ],
    "shadow": [DesignField("share", "Share of the requests, %", "10", is_share=True)],
}
"""The members of designs, by kind; in a form each is named `<kind>-<member>`."""


def definition(field: Callable[[str], str]) -> dict[str, Any]:
    """Return the definition in a form, for the router to check, without variants that have no name."""
    kept = _kept(field("kept"))
    variants = []
    for number in range(VARIANTS):
        name, weight, strategy = (field(f"{part}-{number}") for part in ("name", "weight", "strategy"))
        if name:
            variant = {"name": name, "weight": weight or "1", "strategy": strategy or None}
            variants.append(variant | kept["variants"].get(name, {}))
    kept["design"] = _design(field)
    kept["trigger_share"] = _share(field("trigger")) if field("trigger") else None
    return {
        **{name: kept[name] for name in (*KEPT, "design", "trigger_share") if kept.get(name) is not None},
        "name": field("name"),
        "surface": field("surface"),
        "traffic": _share(field("traffic") or "100"),
        "variants": variants,
    }


def _design(field: Callable[[str], str]) -> dict[str, Any] | None:
    """Return the design of a form with the members that are filled in; None for a split."""
    kind = field("design")
    if kind in {"", "split"}:
        return None
    filled = [(each, field(f"{kind}-{each.member}")) for each in DESIGN_FIELDS.get(kind, ())]
    return {"kind": kind} | {
        each.member: _share(text) if each.is_share else text.replace(",", ".")
        for each, text in filled
        if text
    }


def _kept(text: str) -> dict[str, Any]:
    """Return the members that a form passes on; none of a text that no form has written."""
    try:
        kept = orjson.loads(text or "{}")
    except ValueError:
        kept = {}
    members = kept if isinstance(kept, dict) else {}
    variants = members.get("variants")
    known = variants.items() if isinstance(variants, dict) else ()
    return members | {"variants": {name: each for name, each in known if isinstance(each, dict)}}


def _share(percent: str) -> float | str:
    """Return the share of a percentage, or the text that is none, which the router refuses."""
    try:
        return round(float(percent.replace(",", ".")) / 100, 9)
    except ValueError:
        return percent


def form_of(experiment: Row | None) -> dict[str, str]:
    """Return the fields of the form for a new version of an experiment, or for a new experiment."""
    if experiment is None:
        return {
            "name": "",
            "surface": SURFACES[0],
            "traffic": "100",
            "name-0": "control",
            "name-1": "treatment",
        }
    fields = {
        "name": str(experiment["name"]),
        "surface": str(experiment["surface"]),
        "traffic": f"{experiment['traffic'] * 100:g}",
        "trigger": _percent(experiment.get("trigger_share")),
        **_design_fields(experiment.get("design") or {"kind": "split"}),
        "kept": orjson.dumps(
            {name: experiment[name] for name in KEPT if experiment.get(name) is not None}
            | {
                "variants": {
                    variant["name"]: {part: variant[part] for part in KEPT_OF_VARIANTS if variant.get(part)}
                    for variant in experiment["variants"]
                }
            }
        ).decode(),
    }
    for number, variant in enumerate(experiment["variants"]):
        fields[f"name-{number}"] = str(variant["name"])
        fields[f"weight-{number}"] = f"{variant['weight']:g}"
        fields[f"strategy-{number}"] = variant["strategy"] or ""
    return fields


def _design_fields(design: Row) -> dict[str, str]:
    kind = str(design["kind"])
    return {"design": kind} | {
        f"{kind}-{each.member}": _percent(design[each.member])
        if each.is_share
        else f"{design[each.member]:g}"
        for each in DESIGN_FIELDS.get(kind, ())
        if each.member in design
    }


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:g}"
