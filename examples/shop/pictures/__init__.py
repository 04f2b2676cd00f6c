"""Pictures of products, drawn as SVG from their names, categories and designs."""

from examples.shop.pictures.drawing import draw

__all__ = ["draw"]
