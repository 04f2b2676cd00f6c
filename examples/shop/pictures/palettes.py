"""The colours of a picture: those of the product's design, or colours that its name decides."""

from __future__ import annotations

import colorsys
import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as #rrggbb: of the product, of its shaded and lit parts, of details, and behind it."""

    base: str
    dark: str
    light: str
    accent: str
    ground: str


_DESIGNS: dict[str, tuple[str, str, str, str, str]] = {
    "walnut": ("#7a5236", "#563722", "#a57a58", "#d9b48f", "#f1e7dc"),
    "oak": ("#c69a63", "#9a7040", "#e2c093", "#7d5a31", "#f7eede"),
    "bamboo": ("#c9b458", "#95843a", "#e4d68f", "#6b8f4e", "#f4f1da"),
    "linen": ("#d8cbb5", "#b3a489", "#efe7d8", "#8c7b5f", "#f6f1e7"),
    "indigo": ("#3d4f8f", "#28356a", "#7485c2", "#e8c46b", "#e6e9f6"),
    "terracotta": ("#c5633f", "#964427", "#e29473", "#f2d0b8", "#f9e8de"),
    "ivory": ("#ece3cd", "#c9bc9c", "#fbf7ec", "#b08d57", "#efe8d6"),
    "sage": ("#8ba888", "#64825f", "#b9cdb4", "#e9d9a8", "#e9f0e6"),
    "copper": ("#bb6d44", "#8a4a2b", "#e09a72", "#f5d3b5", "#f8e7db"),
    "slate": ("#5d6873", "#404952", "#8f9aa5", "#d7b77a", "#e7ebee"),
    "coral": ("#ee7f6c", "#c65849", "#f8ada0", "#fff0d9", "#fde8e3"),
    "amber": ("#e0a030", "#b07815", "#f3c775", "#8c4a1e", "#fcf0d6"),
    "botanical": ("#4f8a5b", "#34633e", "#86b98f", "#f3c9b5", "#e2f0e2"),
    "nordic": ("#9db6c6", "#6d8a9d", "#cfdee7", "#c8493d", "#e9f1f5"),
    "retro": ("#e2703a", "#a94a1d", "#f2a679", "#2f8f83", "#fbeacb"),
    "rustic": ("#9c6b4a", "#6f472d", "#c99c7b", "#7d8c5c", "#f2e6da"),
    "marble": ("#d9dce1", "#a9aeb8", "#f3f5f7", "#8b6f47", "#eceef1"),
    "lavender": ("#a18cc9", "#7763a3", "#cbbce6", "#f2d878", "#f0eaf9"),
    "meadow": ("#9bbf5a", "#6f9136", "#c5dd95", "#f0856c", "#eff6de"),
    "harbour": ("#2f7590", "#1f5268", "#76abc0", "#f2c14e", "#e0eff4"),
}


def palette(design: str | None, name: str) -> Palette:
    """Return the palette of a design; for another one, colours that its name decides, or the product."""
    known = _DESIGNS.get((design or "").lower())
    return Palette(*known) if known else _from_text(design or name)


def _from_text(text: str) -> Palette:
    digest = hashlib.sha256(text.lower().encode()).digest()
    hue, saturation = digest[0] / 255, 0.35 + digest[1] / 255 * 0.3
    return Palette(
        base=_colour(hue, 0.52, saturation),
        dark=_colour(hue, 0.36, saturation),
        light=_colour(hue, 0.74, saturation),
        accent=_colour((hue + 0.45) % 1, 0.72, 0.6),
        ground=_colour(hue, 0.93, saturation),
    )


def _colour(hue: float, lightness: float, saturation: float) -> str:
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, saturation)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
