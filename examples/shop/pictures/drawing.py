"""A product as an SVG document: its shape in the colours of its design, on a tinted ground."""

from __future__ import annotations

import hashlib
import re
from html import escape

from examples.shop.pictures.palettes import Palette, palette
from examples.shop.pictures.shapes import SHAPES, shape_of

_COLOUR = re.compile(r'(fill|stroke)="([bdla])"')

_SIZES = (("large", 1.12), ("mini", 0.78), ("small", 0.84))


def draw(name: str, category: str | None = None, design: str | None = None) -> str:
    """Return the SVG of a product. The same arguments always give the same text."""
    colours = palette(design, name)
    digest = hashlib.sha256(f"{name}|{category}|{design}".encode()).digest()
    shape = SHAPES[shape_of(name, category)]
    scale = next(
        (scale for word, scale in _SIZES if word in name.lower().split()), 0.94 + digest[0] / 255 * 0.1
    )
    tilt = (digest[1] - 128) / 128 * 4
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 200" role="img">'
        f"<title>{escape(name)}</title>"
        f'<rect width="200" height="200" fill="{colours.ground}"/>'
        f"{_ground(colours, digest)}"
        f'<ellipse cx="100" cy="166" rx="{58 * scale:.0f}" ry="8" fill="{colours.dark}" opacity=".18"/>'
        f'<g transform="translate(100 100) rotate({tilt:.1f}) scale({scale:.2f}) translate(-100 -100)">'
        f"{_coloured(shape, colours)}</g></svg>"
    )


def _coloured(shape: str, colours: Palette) -> str:
    values = {"b": colours.base, "d": colours.dark, "l": colours.light, "a": colours.accent}
    return _COLOUR.sub(lambda match: f'{match[1]}="{values[match[2]]}"', shape)


def _ground(colours: Palette, digest: bytes) -> str:
    """Return a soft shape behind the product; the digest decides which one, and where."""
    x, y = 40 + digest[2] % 120, 40 + digest[3] % 70
    match digest[4] % 3:
        case 0:
            return f'<circle cx="{x}" cy="{y}" r="70" fill="{colours.light}" opacity=".35"/>'
        case 1:
            path = f"M0 {130 + y // 8}q50-30 100-6t100-10v90H0z"
            return f'<path d="{path}" fill="{colours.light}" opacity=".45"/>'
        case _:
            return f'<rect x="{x - 60}" y="-20" width="64" height="240" fill="{colours.light}" opacity=".3"/>'
