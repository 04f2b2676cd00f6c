"""The items of the sample shop: each form of a category in each design."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

_OPENED = datetime(2025, 6, 1, tzinfo=UTC)
_LAUNCH_DAYS = 330


@dataclass(frozen=True)
class Category:
    """A category of items. `peak` is the month (1 to 12) with the most sales, `price` the median price."""

    name: str
    peak: int | None
    price: float
    consumable: bool
    forms: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """One product. Customers prefer certain values of `design` in all categories."""

    item_id: str
    name: str
    category: Category
    design: str
    price: float
    popularity: float
    created_at: datetime

    def row(self) -> dict[str, str]:
        """Return the row of items.csv."""
        return {
            "item_id": self.item_id,
            "name": self.name,
            "category": self.category.name,
            "price": f"{self.price:.2f}",
            "currency": "EUR",
            "design": self.design,
            "created_at": self.created_at.isoformat(),
        }


DESIGNS = (
    "Walnut", "Oak", "Bamboo", "Linen", "Indigo", "Terracotta", "Ivory", "Sage", "Copper",
    "Slate", "Coral", "Amber", "Botanical", "Nordic", "Retro", "Rustic", "Marble", "Lavender",
    "Meadow", "Harbour",
)  # fmt: skip

CATEGORIES = (
    Category("Kitchen", None, 18, consumable=False, forms=(
        "Cutting Board", "Salad Bowl", "Spice Rack", "Apron", "Oven Glove", "Tea Towel",
        "Utensil Jar", "Rolling Pin", "Mixing Bowl", "Pepper Mill", "Bread Bin", "Trivet")),
    Category("Dining", 12, 16, consumable=False, forms=(
        "Dinner Plate", "Side Plate", "Mug", "Tumbler", "Napkin Set", "Table Runner",
        "Serving Platter", "Cake Stand", "Egg Cup", "Carafe", "Placemat", "Cutlery Set")),
    Category("Coffee & Tea", 1, 9, consumable=True, forms=(
        "House Blend", "Espresso Roast", "Decaf", "Earl Grey", "Green Tea", "Herbal Infusion",
        "Cold Brew", "Chai", "Hot Chocolate", "Filter Papers", "Oat Biscuits", "Honey")),
    Category("Candles & Scent", 11, 14, consumable=True, forms=(
        "Pillar Candle", "Tealights", "Reed Diffuser", "Room Spray", "Incense", "Wax Melt",
        "Taper Candle", "Travel Candle", "Refill Oil", "Matches", "Sachet", "Bath Salts")),
    Category("Garden", 5, 22, consumable=False, forms=(
        "Planter", "Watering Can", "Hand Trowel", "Seed Box", "Bird Feeder", "Garden Lantern",
        "Plant Stand", "Trellis", "Kneeling Mat", "Pruner", "Hanging Basket", "Bird Bath")),
    Category("Outdoor & Picnic", 7, 27, consumable=False, forms=(
        "Picnic Basket", "Blanket", "Cool Bag", "Hammock", "Parasol", "Folding Stool",
        "Beach Towel", "Grill Tongs", "Insect Lantern", "Flask", "Serving Tray", "Kite")),
    Category("Living", None, 34, consumable=False, forms=(
        "Cushion", "Throw", "Table Lamp", "Picture Frame", "Vase", "Mirror", "Wall Clock",
        "Storage Basket", "Bookend", "Rug", "Side Table", "Coaster Set")),
    Category("Christmas", 12, 8, consumable=False, forms=(
        "Bauble", "Garland", "Tree Topper", "Advent Calendar", "Stocking", "Wreath",
        "Gift Wrap", "Fairy Lights", "Snow Globe", "Nutcracker", "Gift Tag Set", "Card Box")),
    Category("Stationery", 9, 6, consumable=True, forms=(
        "Notebook", "Pencil Set", "Greeting Card", "Planner", "Washi Tape", "Sticky Notes",
        "Fountain Pen", "Desk Pad", "Envelope Set", "Sketchbook", "Ink Bottle", "Bookmark")),
    Category("Kids", 12, 15, consumable=False, forms=(
        "Night Light", "Building Blocks", "Puzzle", "Lunch Box", "Soft Bunny", "Play Tent",
        "Paint Set", "Skipping Rope", "Growth Chart", "Story Cards", "Bunting", "Money Box")),
    Category("Bath", 2, 12, consumable=True, forms=(
        "Hand Soap", "Bath Towel", "Body Lotion", "Shower Gel", "Soap Dish", "Bath Mat",
        "Sponge", "Shampoo Bar", "Face Cloth", "Hand Cream", "Toothbrush Cup", "Lip Balm")),
    Category("Pets", None, 13, consumable=True, forms=(
        "Dog Biscuits", "Cat Treats", "Food Bowl", "Collar", "Lead", "Chew Toy", "Cat Bed",
        "Grooming Brush", "Travel Bowl", "Catnip Mouse", "Training Treats", "Pet Blanket")),
)  # fmt: skip


def assortment(random: Random) -> list[Item]:
    """Return about 3,000 items: 12 categories of 12 forms in 20 designs, some of them also in large."""
    items: list[Item] = []
    for category in CATEGORIES:
        for form in category.forms:
            factor = random.lognormvariate(0, 0.4)
            for design in DESIGNS:
                items.append(_item(random, category, design, form, factor, len(items)))
    large = random.sample(items, 240)
    return items + [_large(item, len(items) + index) for index, item in enumerate(large)]


def _item(random: Random, category: Category, design: str, form: str, factor: float, number: int) -> Item:
    price = max(0.5, category.price * factor * random.lognormvariate(0, 0.15))
    return Item(
        item_id=f"i-{number + 1:04}",
        name=f"{design} {form}",
        category=category,
        design=design,
        price=round(price * 20) / 20 - 0.01,
        popularity=random.paretovariate(1.2),
        created_at=_OPENED + timedelta(days=random.randrange(_LAUNCH_DAYS)),
    )


def _large(item: Item, number: int) -> Item:
    return Item(
        item_id=f"i-{number + 1:04}",
        name=f"Large {item.name}",
        category=item.category,
        design=item.design,
        price=round(item.price * 1.6, 2),
        popularity=item.popularity / 2,
        created_at=item.created_at + timedelta(days=30),
    )
