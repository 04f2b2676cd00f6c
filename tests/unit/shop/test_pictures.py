"""Pictures are the same every time, well-formed, and tell the products of the sample shop apart."""

from __future__ import annotations

from random import Random
from xml.etree import ElementTree as ET

import pytest

from deploy.local.shop.assortment import CATEGORIES, DESIGNS, assortment
from examples.shop.pictures import draw
from examples.shop.pictures.palettes import palette
from examples.shop.pictures.shapes import SHAPES, shape_of

BOXES = {"Spice Rack", "Bread Bin", "Matches", "Lunch Box"}


def test_a_picture_is_the_same_every_time_and_different_for_others() -> None:
    assert draw("Oak Mug", "Dining", "Oak") == draw("Oak Mug", "Dining", "Oak")
    assert draw("Oak Mug", "Dining", "Oak") != draw("Walnut Mug", "Dining", "Walnut")
    assert draw("Oak Mug", "Dining", "Oak") != draw("Oak Tumbler", "Dining", "Oak")


def test_names_are_escaped() -> None:
    picture = draw('<script>"&', "<b>", "'")

    (title,) = ET.fromstring(picture).iterfind("{http://www.w3.org/2000/svg}title")
    assert title.text == '<script>"&'


def test_every_product_of_the_sample_shop_has_a_picture() -> None:
    items = assortment(Random(1))[::7]
    pictures = {draw(item.name, item.category.name, item.design) for item in items}

    assert len(pictures) == len({item.name for item in items})
    for picture in pictures:
        assert 'fill="b"' not in picture
        ET.fromstring(picture)


def test_every_form_of_the_sample_shop_has_a_shape_of_its_own_kind() -> None:
    boxes = {form for category in CATEGORIES for form in category.forms if shape_of(form, None) == "box"}

    assert boxes == BOXES
    assert {shape_of(form, None) for category in CATEGORIES for form in category.forms} <= SHAPES.keys()


@pytest.mark.parametrize(
    ("name", "category", "shape"),
    [
        ("Oak Coaster Set", "Living", "plate"),
        ("Large Ivory Plant Stand", "Garden", "plant"),
        ("Copper Tea Towel", "Kitchen", "cloth"),
        ("CHRISTMAS GLASS BALL", "Candles", "tumbler"),
        ("Thing 7", "Rugs & Lamps", "box"),
        ("Thing 7", "Table", "table"),
    ],
)
def test_the_last_word_with_a_shape_decides(name: str, category: str, shape: str) -> None:
    assert shape_of(name, category) == shape


def test_each_design_has_its_colours_and_unknown_ones_have_some() -> None:
    assert len({palette(design, "x") for design in DESIGNS}) == len(DESIGNS)
    assert palette("OAK", "x") == palette("Oak", "y")
    assert palette(None, "Blue Kettle") == palette(None, "blue kettle") != palette(None, "Red Kettle")
