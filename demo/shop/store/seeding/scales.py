"""How large a seeded shop is, and who its tenants are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    name: str
    tenants: int
    days: int
    customers: int
    products_per_tenant: int
    orders: int
    subscriptions: int
    sessions_per_order: float = 2.5  # about 4 events each


SCALES = {
    scale.name: scale
    for scale in (
        Scale("small", 5, 183, 800, 75, 7_500, 420),
        Scale("medium", 9, 183, 8_000, 750, 75_000, 4_000),
        Scale("large", 24, 365, 60_000, 1_000, 640_000, 22_000),
    )
}


@dataclass(frozen=True)
class Merchant:
    """A tenant to be, with the habits of its trade."""

    name: str
    slug: str
    country: str
    time_zone: str
    locale: str
    currency: str
    second_currency: str  # empty: sells in one only
    growth: float  # a month
    weekend: float  # share of a working day's trade
    season: float  # height of the winter peak
    conversion: float
    churn: float  # a month, subscriptions
    plan: str


# Largest first: the n-th tenant's share of the trade falls with n.
MERCHANTS = [
    Merchant("Northwind Outdoor", "northwind", "US", "America/New_York", "en_US", "USD", "", 0.06, 1.35, 0.5, 1.00, 0.05, "enterprise"),
    Merchant("Alpenglück Sport", "alpenglueck", "DE", "Europe/Berlin", "de_DE", "EUR", "CHF", 0.04, 1.20, 0.7, 1.15, 0.03, "enterprise"),
    Merchant("Kita & Mori", "kita-mori", "JP", "Asia/Tokyo", "ja_JP", "JPY", "", 0.02, 1.10, 0.2, 0.90, 0.02, "growth"),
    Merchant("Maison Lumière", "maison-lumiere", "FR", "Europe/Paris", "fr_FR", "EUR", "", 0.09, 0.95, 0.6, 1.05, 0.06, "growth"),
    Merchant("Harbour Office Supply", "harbour", "GB", "Europe/London", "en_GB", "GBP", "EUR", 0.01, 0.35, 0.1, 1.30, 0.02, "growth"),
    Merchant("Casa Ipê", "casa-ipe", "BR", "America/Sao_Paulo", "pt_BR", "BRL", "", 0.12, 1.05, 0.4, 0.80, 0.08, "growth"),
    Merchant("Red Dune Trading", "red-dune", "AU", "Australia/Sydney", "en_US", "AUD", "", 0.03, 0.90, -0.3, 1.00, 0.05, "starter"),
    Merchant("Himalaya Tea House", "himalaya-tea", "IN", "Asia/Kolkata", "en_GB", "INR", "USD", 0.15, 1.00, 0.3, 0.85, 0.04, "starter"),
    Merchant("Prairie Seeds", "prairie", "CA", "America/Winnipeg", "en_US", "CAD", "USD", -0.03, 0.70, -0.5, 1.10, 0.09, "starter"),
    Merchant("Bottega Verdi", "bottega-verdi", "IT", "Europe/Rome", "it_IT", "EUR", "", 0.05, 1.10, 0.5, 1.00, 0.05, "growth"),
    Merchant("Sol y Sombra", "sol-sombra", "ES", "Europe/Madrid", "es_ES", "EUR", "", 0.04, 1.15, -0.2, 0.95, 0.06, "starter"),
    Merchant("Polder Bikes", "polder", "NL", "Europe/Amsterdam", "en_GB", "EUR", "", 0.07, 1.25, -0.4, 1.20, 0.03, "growth"),
    Merchant("Fjord Knitwear", "fjord", "NO", "Europe/Oslo", "en_GB", "NOK", "EUR", 0.02, 0.95, 0.9, 1.00, 0.04, "starter"),
    Merchant("Matterhorn Optics", "matterhorn", "CH", "Europe/Zurich", "de_DE", "CHF", "EUR", 0.03, 0.60, 0.3, 1.10, 0.02, "enterprise"),
    Merchant("Desert Star Coffee", "desert-star", "US", "America/Phoenix", "en_US", "USD", "", 0.10, 1.00, 0.1, 0.90, 0.07, "starter"),
    Merchant("Cape Botanica", "cape-botanica", "ZA", "Africa/Johannesburg", "en_GB", "ZAR", "", 0.06, 0.85, -0.3, 0.85, 0.05, "starter"),
    Merchant("Lion City Gadgets", "lion-city", "SG", "Asia/Singapore", "en_GB", "SGD", "USD", 0.08, 1.20, 0.3, 1.10, 0.04, "growth"),
    Merchant("Kauri Kids", "kauri-kids", "NZ", "Pacific/Auckland", "en_GB", "NZD", "", 0.05, 1.10, 0.6, 1.00, 0.06, "starter"),
    Merchant("Vltava Books", "vltava", "CZ", "Europe/Prague", "en_GB", "CZK", "EUR", 0.01, 0.80, 0.8, 1.00, 0.03, "starter"),
    Merchant("Wisla Home", "wisla", "PL", "Europe/Warsaw", "en_GB", "PLN", "EUR", 0.09, 1.05, 0.5, 0.95, 0.05, "growth"),
    Merchant("Pampa Leather", "pampa", "AR", "America/Argentina/Buenos_Aires", "es_ES", "ARS", "USD", -0.02, 0.90, -0.1, 0.80, 0.08, "starter"),
    Merchant("Aurora Instruments", "aurora", "SE", "Europe/Stockholm", "en_GB", "SEK", "EUR", 0.03, 0.40, 0.2, 1.25, 0.02, "enterprise"),
    Merchant("Bosporus Spice", "bosporus", "TR", "Europe/Istanbul", "en_GB", "TRY", "EUR", 0.11, 1.00, 0.2, 0.85, 0.07, "starter"),
    Merchant("Island Surf Co", "island-surf", "US", "Pacific/Honolulu", "en_US", "USD", "", 0.04, 1.40, -0.6, 1.00, 0.06, "starter"),
]

# What a price of 100 in euro is in this currency, roughly: only for plausible numbers.
PRICE_LEVEL = {
    "USD": 108, "EUR": 100, "CHF": 96, "JPY": 16200, "GBP": 85, "BRL": 590, "AUD": 165, "INR": 9100, "CAD": 148,
    "NOK": 1160, "ZAR": 1980, "SGD": 145, "NZD": 180, "CZK": 2520, "PLN": 430, "ARS": 98000, "SEK": 1140, "TRY": 3500,
}
