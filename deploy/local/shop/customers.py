"""The customers of the sample shop, with addresses, preferred categories and designs, and a budget."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from deploy.local.shop.assortment import CATEGORIES, DESIGNS

# (country, province, city, percentage of customers)
_PLACES = (
    ("United Kingdom", "England", "London", 14), ("United Kingdom", "England", "Manchester", 7),
    ("United Kingdom", "England", "Bristol", 5), ("United Kingdom", "Scotland", "Edinburgh", 5),
    ("United Kingdom", "Wales", "Cardiff", 3), ("Germany", "Berlin", "Berlin", 8),
    ("Germany", "Bavaria", "Munich", 6), ("Germany", "Hamburg", "Hamburg", 5),
    ("Germany", "Saxony", "Leipzig", 3), ("France", "Île-de-France", "Paris", 9),
    ("France", "Auvergne-Rhône-Alpes", "Lyon", 4), ("France", "Occitanie", "Toulouse", 3),
    ("Netherlands", "North Holland", "Amsterdam", 5), ("Netherlands", "Utrecht", "Utrecht", 3),
    ("Spain", "Catalonia", "Barcelona", 5), ("Spain", "Madrid", "Madrid", 4),
    ("Italy", "Lombardy", "Milan", 4), ("Italy", "Tuscany", "Florence", 2),
    ("Sweden", "Stockholm", "Stockholm", 3), ("Ireland", "Leinster", "Dublin", 2),
)  # fmt: skip

_FIRST = (
    "Ada", "Amir", "Anna", "Ben", "Carla", "Chen", "Clara", "David", "Elif", "Emma", "Farid",
    "Grace", "Hugo", "Ines", "Jonas", "Julia", "Kai", "Lena", "Louis", "Maja", "Marco", "Mei",
    "Nadia", "Noah", "Olga", "Omar", "Paul", "Rosa", "Sofia", "Tariq", "Tom", "Zoe",
)  # fmt: skip
_LAST = (
    "Ahmed", "Andersson", "Baker", "Bauer", "Bianchi", "Carter", "Costa", "Dubois", "Evans",
    "Fischer", "Garcia", "Haddad", "Hughes", "Jansen", "Keller", "Kowalski", "Lambert", "Lopez",
    "Martin", "Murphy", "Novak", "Okafor", "Olsen", "Patel", "Romano", "Schmidt", "Singh",
    "Smith", "Visser", "Walker", "Weber", "Yilmaz",
)  # fmt: skip


@dataclass(frozen=True)
class Customer:
    """A customer. `tastes` are weights of the categories, `budget` is a factor of the preferred prices."""

    user_id: str
    name: str
    country: str
    province: str
    city: str
    tastes: tuple[float, ...]
    designs: tuple[str, ...]
    budget: float
    orders: int

    def row(self) -> dict[str, str]:
        """Return the row of users.csv."""
        return {
            "user_id": self.user_id,
            "name": self.name,
            "city": self.city,
            "province": self.province,
            "country": self.country,
        }


def customers(random: Random, count: int) -> list[Customer]:
    """Return `count` registered customers; most order a few times, some very often."""
    places = random.choices(_PLACES, [place[3] for place in _PLACES], k=count)
    return [
        Customer(
            user_id=f"c-{number + 1:04}",
            name=f"{random.choice(_FIRST)} {random.choice(_LAST)}",
            country=country,
            province=province,
            city=city,
            tastes=_tastes(random, country),
            designs=tuple(random.sample(DESIGNS, 3)),
            budget=random.lognormvariate(0, 0.5),
            orders=1 + int(random.gammavariate(1.1, 5.5)),
        )
        for number, (country, province, city, _) in enumerate(places)
    ]


def _tastes(random: Random, country: str) -> tuple[float, ...]:
    """Return weights of the categories: a few are large, and one is larger for each country."""
    favourite = sum(country.encode()) % len(CATEGORIES)
    return tuple(
        random.gammavariate(0.35, 1) + (0.25 if index == favourite else 0.01)
        for index in range(len(CATEGORIES))
    )
