"""Customers: when they join, how much they buy, when they stop."""

import json
from dataclasses import dataclass
from functools import cache

from faker import Faker

from .copy_sink import escaped
from .rhythm import DAY, date_text, demand, moment_text

NOTES = ["", "", "", "", "prefers e-mail", "gift orders in December", "asked for an invoice by post", "VIP: call first"]


@dataclass(slots=True)
class Customer:
    tenant: int
    created: int  # microseconds
    leaves: int  # day on which the customer loses interest
    weight: float
    country: str
    name: str
    address: str  # JSON in COPY's text format
    id: int = 0


@cache
def faker_of(locale):
    return Faker(locale)


def make_customers(rng, merchant, tenant, count, first_day, days, fake_seed):
    """A tenant's customers: a third were there before the first day, the rest joins along with the growth."""
    fake = faker_of(merchant.locale)
    fake.seed_instance(fake_seed)
    window = range(first_day, first_day + days)
    joining = rng.choices(window, weights=[demand(merchant, day, first_day) for day in window], k=count)
    people = []
    for day in joining:
        if rng.random() < 0.35:
            day = first_day - rng.randrange(1, 360)
        stays = 10_000 if rng.random() < 0.3 else 1 + int(rng.expovariate(1 / 110))
        country = merchant.country if rng.random() < 0.9 else rng.choice(["US", "DE", "FR", "GB"])
        address = {"street": fake.street_address().replace("\n", " "), "city": fake.city(), "postcode": fake.postcode(), "country": country}
        people.append(Customer(
            tenant=tenant,
            created=(day * DAY + rng.randrange(DAY)) * 1_000_000 + rng.randrange(1_000_000),
            leaves=max(day, first_day) + stays,
            weight=min(rng.paretovariate(1.25), 80.0),
            country=country,
            name=fake.name(),
            address=escaped(json.dumps(address, ensure_ascii=False)),
        ))
    return people


def malformed(rng, email):
    """What people type in place of an address."""
    local, domain = email.split("@")
    return rng.choice([f"{local}.{domain}", f"{local}@@{domain}", f"{local}@", f"{local} @{domain}", f"{local}@{domain.split('.')[0]}"])


def customer_line(rng, customer, email):
    phone = f"+{rng.randrange(1, 99)} {rng.randrange(100, 999)} {rng.randrange(1_000_000, 9_999_999)}" if rng.random() < 0.7 else ""
    birth = date_text(rng.randrange(-11_000, 13_500)) if rng.random() < 0.6 else r"\N"
    external = f"{rng.getrandbits(128):032x}"
    opt_in = "t" if rng.random() < 0.4 else "f"
    return "\t".join((
        str(customer.id), str(customer.tenant), external, email, escaped(customer.name), phone, birth, customer.country,
        opt_in, moment_text(customer.created), rng.choice(NOTES)))
