"""Products: what a tenant sells, at what price, and what is on the shelf."""

import base64
import json
from dataclasses import dataclass

from .copy_sink import escaped
from .rhythm import DAY, moment_text
from .scales import PRICE_LEVEL

# Category -> (typical price in cents of EUR, season of its own, nouns)
CATEGORIES = {
    "jackets": (14_900, 0.8, ["parka", "shell", "anorak", "down jacket"]),
    "footwear": (9_900, 0.1, ["boot", "runner", "sandal", "clog"]),
    "bags": (6_900, 0.0, ["backpack", "tote", "duffel", "pouch"]),
    "kitchen": (3_400, 0.3, ["kettle", "pan", "knife", "bowl", "grinder"]),
    "books": (1_900, 0.4, ["guide", "atlas", "cookbook", "novel"]),
    "garden": (2_600, -0.9, ["trowel", "planter", "seed set", "hose"]),
    "stationery": (900, -0.1, ["notebook", "pen", "folder", "planner"]),
    "lighting": (5_400, 0.4, ["lamp", "lantern", "spot", "string light"]),
}
ADJECTIVES = ["Alder", "Basalt", "Cinder", "Drift", "Ember", "Flint", "Glacier", "Hazel", "Indigo", "Juniper", "Kestrel", "Larch"]
COLOURS = ["black", "sand", "forest", "rust", "navy", "white"]
TAGS = ["new", "sale", "eco", "handmade", "bestseller", "gift", "limited, numbered", 'so-called "classic"']
SENTENCES = [
    "Made to last and easy to repair.", "Tested by our own staff for a season.", "Fits small and tall people alike.",
    "The material comes from a family mill.", "Wash cold, dry in the shade.", "Ships flat, assembled in minutes.",
    "Two years of warranty.", "Packed without plastic.", "A favourite since our first catalogue.",
]


@dataclass(slots=True)
class Product:
    id: int
    tenant: int
    sku: str
    name: str
    category: str
    price: int  # cents
    cost: int
    currency: str
    created: int  # microseconds
    weight: float
    stock: int
    lot: int  # what one delivery brings
    changed: int  # microseconds: last sale or delivery


def make_products(rng, merchant, tenant, count, first_day, days, first_id):
    """A tenant's catalogue; a few products sell most."""
    names = rng.sample(sorted(CATEGORIES), k=5)
    level = PRICE_LEVEL[merchant.currency] / 100
    products = []
    for i in range(count):
        category = rng.choices(names, weights=[5, 4, 3, 2, 1])[0]
        typical, _, nouns = CATEGORIES[category]
        price = max(100, round(typical * level * rng.lognormvariate(0, 0.5) / 10) * 10 - 1)
        day = first_day - rng.randrange(2, 700) if rng.random() < 0.9 or i < 10 else first_day + rng.randrange(days)
        created = (day * DAY + rng.randrange(DAY)) * 1_000_000
        lot = rng.choice([20, 40, 60, 120])
        products.append(Product(
            first_id + i, tenant, f"{category[:3].upper()}-{tenant:02d}{i:05d}",
            f"{rng.choice(ADJECTIVES)} {rng.choice(nouns)} {rng.randrange(10, 99)}", category, price,
            round(price * rng.uniform(0.35, 0.75)), merchant.currency, created,
            1.0 / (1 + rng.randrange(count)) ** 0.9, lot + rng.randrange(lot), lot, created))
    return products


def description(rng):
    """Some sentences; for one product in twelve also a data sheet over 8 kB that does not compress."""
    text = " ".join(rng.choices(SENTENCES, k=rng.randrange(3, 12)))
    if rng.random() < 0.08:
        text += "\n\nData sheet: " + base64.b64encode(rng.randbytes(rng.randrange(6_500, 12_000))).decode()
    return text


def product_line(rng, product, stock):
    attributes = {"colour": rng.choice(COLOURS), "weight_g": rng.randrange(50, 4_000), "sizes": rng.sample(["S", "M", "L", "XL"], k=2)}
    tags = ",".join('"' + tag.replace('"', '\\"') + '"' for tag in rng.sample(TAGS, k=rng.randrange(4)))
    return "\t".join((
        str(product.id), str(product.tenant), product.sku, product.name, product.category, cents(product.cost),
        cents(product.price), product.currency, str(stock), escaped(json.dumps(attributes)), escaped("{" + tags + "}"),
        escaped(description(rng)), "t" if rng.random() < 0.96 else "f", moment_text(product.created),
        moment_text(product.changed)))


def cents(amount):
    return f"{amount // 100}.{amount % 100:02d}"
