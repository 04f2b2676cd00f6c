"""Shapes of products on a canvas of 200 × 200, and which product has which."""

from __future__ import annotations

import re
from pathlib import Path

_SYMBOL = re.compile(r'<symbol id="(\w+)">\s*(.*?)\s*</symbol>', re.DOTALL)


def _shapes() -> dict[str, str]:
    """Return the elements of each symbol of shapes.svg, without the space between them."""
    text = Path(__file__).with_name("shapes.svg").read_text()
    return {name: re.sub(r">\s+<", "><", elements) for name, elements in _SYMBOL.findall(text)}


SHAPES = _shapes()
"""The elements of each shape; `b`, `d`, `l` and `a` as a fill or stroke stand for colours of the palette."""

_FORMS: dict[str, str] = {
    "apron": "apron",
    "bag": "bag blend roast decaf grey tea infusion brew chai chocolate papers biscuits treats salts sachet",
    "basket": "basket bed hamper",
    "bauble": "bauble globe ornament",
    "blocks": "blocks",
    "board": "board chart",
    "bone": "toy",
    "book": "notebook planner sketchbook book bookend pad calendar",
    "bottle": "soap spray oil lotion gel ink flask bottle",
    "bowl": "bowl bath",
    "box": "bin box rack matches",
    "brush": "brush",
    "bunny": "bunny bear",
    "candle": "candle tealights melt",
    "card": "card cards envelope notes",
    "carafe": "carafe pot kettle",
    "clock": "clock trivet",
    "cloth": "towel napkin runner placemat mat throw blanket rug cloth",
    "collar": "collar lead",
    "cup": "utensil toothbrush incense diffuser",
    "cushion": "cushion pillow",
    "cutlery": "cutlery",
    "frame": "frame mirror",
    "garland": "garland lights bunting",
    "gift": "wrap money",
    "hammock": "hammock",
    "jar": "jar honey cream",
    "kite": "kite",
    "lamp": "lamp light",
    "lantern": "lantern feeder",
    "mill": "mill nutcracker",
    "mitt": "glove",
    "mouse": "mouse",
    "mug": "mug cup",
    "paint": "paint",
    "parasol": "parasol umbrella",
    "pen": "pen bookmark",
    "pencils": "pencil taper",
    "pin": "pin",
    "plant": "planter plant seed",
    "plate": "plate platter coaster",
    "puzzle": "puzzle",
    "rope": "rope",
    "soap": "sponge bar dish",
    "stand": "cake egg",
    "star": "topper star",
    "stocking": "stocking",
    "stool": "stool",
    "table": "table desk",
    "tag": "tag",
    "tape": "tape",
    "tent": "tent",
    "tools": "trowel pruner tongs",
    "tray": "tray",
    "trellis": "trellis",
    "tube": "balm",
    "tumbler": "tumbler glass",
    "vase": "vase",
    "watering": "watering can",
    "wreath": "wreath",
}
"""The words of product names that have a shape."""

_SHAPE_OF_WORD = {word: shape for shape, words in _FORMS.items() for word in words.split()}
_FIRST_WORDS = frozenset(
    {"utensil", "toothbrush", "watering", "cake", "egg", "paint", "seed", "plant", "pencil", "money"}
    | {"coaster", "napkin", "card", "gift", "taper", "ink"}
)
"""Words that decide the shape although another word follows: a plant stand, a coaster set."""
_WORD = re.compile(r"[^\W\d_]+")


def shape_of(name: str, category: str | None) -> str:
    """Return the shape of a product: by the words of its name, the last one first, then of its category."""
    words = _WORD.findall(name.lower())
    candidates = [word for word in words if word in _FIRST_WORDS and word != words[-1]] + words[::-1]
    candidates += _WORD.findall((category or "").lower())
    return next((_SHAPE_OF_WORD[word] for word in candidates if word in _SHAPE_OF_WORD), "box")
