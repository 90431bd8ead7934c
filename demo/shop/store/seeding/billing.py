"""Subscriptions with trials and churn, and the invoices that follow from them month by month."""

import datetime

from .goods import cents
from .rhythm import DAY, EPOCH, date_text, moment_text
from .scales import PRICE_LEVEL

SECOND = 1_000_000
PLANS = (("basic", 900), ("plus", 1_900), ("pro", 4_900))  # cents of EUR a month
TRIAL_DAYS = 14


def months_later(micros, months):
    """The same day and time some months on; the 28th stands in for days that not every month has."""
    day, rest = divmod(micros, DAY * SECOND)
    date = EPOCH + datetime.timedelta(days=day)
    month = date.month - 1 + months
    moved = datetime.date(date.year + month // 12, month % 12 + 1, min(date.day, 28))
    return (moved - EPOCH).days * DAY * SECOND + rest


class Billing:
    """A tenant's subscriptions. Ids continue over tenants, numbers of invoices per tenant."""

    def __init__(self, flaws, sink):
        self.flaws, self.sink = flaws, sink
        self.next_subscription = self.next_invoice = 1

    def run(self, rng, merchant, tenant, customers, count, first_day, until):
        invoices = []
        level = PRICE_LEVEL[merchant.currency] / 100
        for customer in sorted(rng.sample(customers, k=min(count, len(customers))), key=lambda c: c.id):
            started = max(customer.created, first_day * DAY * SECOND) + rng.randrange(60, 20 * DAY) * SECOND
            if started >= until:
                continue
            plan, price = rng.choices(PLANS, weights=(5, 3, 1.4))[0]
            price = round(price * level / 10) * 10
            invoices += self._subscribe(rng, merchant, tenant, customer, plan, price, started, until)
        for number, (issued, subscription, price, paid) in enumerate(sorted(invoices), 1):
            self._invoice(rng, merchant, tenant, subscription, price, issued, paid, number, until)

    def _subscribe(self, rng, merchant, tenant, customer, plan, price, started, until):
        subscription = self.next_subscription
        self.next_subscription += 1
        trial = started + TRIAL_DAYS * DAY * SECOND if rng.random() < 0.6 else None
        paying = trial or started
        cancelled = ended = None
        if trial and rng.random() < 0.35:
            cancelled, ended = started + rng.randrange(DAY, TRIAL_DAYS * DAY) * SECOND, trial
        else:
            months = 1 + int(rng.expovariate(merchant.churn))
            ended = months_later(paying, months)
            cancelled = ended - rng.randrange(DAY, 25 * DAY) * SECOND
        last = min(ended, until)
        if cancelled >= until:
            cancelled = None
        if cancelled is None or ended >= until:
            ended = None
        status = "cancelled" if ended else "trialing" if trial and trial > until else "active"
        bills, month = [], 0
        while (issued := months_later(paying, month)) < last:
            bills.append((issued, subscription, price, status != "active" or rng.random() < 0.97))
            month += 1
        if status == "active" and bills and not bills[-1][3] and until - bills[-1][0] > 14 * DAY * SECOND:
            status = "past_due"
        shown_end = ended
        if ended and self.flaws.strikes("end_before_start", 0.025):  # of those that ended: about 0.5 % of all
            shown_end = started - rng.randrange(DAY, 30 * DAY) * SECOND
            self.flaws.plant("subscriptions", subscription, "end_before_start")
        optional = [moment_text(moment) if moment else r"\N" for moment in (trial, cancelled, shown_end)]
        self.sink.add("subscriptions", "\t".join((
            str(subscription), tenant, str(customer.id), plan, cents(price), merchant.currency, status,
            moment_text(started), *optional)))
        return bills

    def _invoice(self, rng, merchant, tenant, subscription, price, issued, good, number, until):
        paid = issued + rng.randrange(3_600, 13 * DAY) * SECOND
        state, paid_text = "paid", moment_text(paid)
        if rng.random() < 0.008:
            state = "void"
        elif not good:
            state = "uncollectible" if until - issued > 45 * DAY * SECOND else "open"
        elif until - issued < 6 * 3600 * SECOND:
            state = "draft"
        elif paid >= until:
            state = "open"
        if state != "paid":
            paid_text = r"\N"
        day = issued // (DAY * SECOND)
        self.sink.add("invoices", "\t".join((
            str(self.next_invoice), tenant, str(subscription), f"INV-{number:06d}", state, cents(price), merchant.currency,
            date_text(day), date_text(day + 14), paid_text)))
        self.next_invoice += 1
