"""Time: the shop's calendar, the rhythm of day, week and year, and the text of moments."""

import datetime
import math
from zoneinfo import ZoneInfo

DAY = 86_400
EPOCH = datetime.date(1970, 1, 1)
CLOCK = [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(DAY)]
# Trade by local hour: quiet at night, a lunch peak, the evening highest.
HOURS = [2, 1, 1, 1, 1, 2, 4, 8, 12, 15, 16, 17, 18, 15, 14, 14, 15, 18, 22, 26, 27, 22, 13, 6]

_dates = {}


def date_text(day):
    """'YYYY-MM-DD' of a day counted from 1970-01-01."""
    text = _dates.get(day)
    if text is None:
        text = _dates[day] = (EPOCH + datetime.timedelta(days=day)).isoformat()
    return text


def moment_text(micros):
    """PostgreSQL's text of microseconds since 1970, UTC."""
    seconds, fraction = divmod(micros, 1_000_000)
    day, second = divmod(seconds, DAY)
    return f"{date_text(day)} {CLOCK[second]}.{fraction:06d}+00"


def utc_hours(time_zone, day):
    """The weights of HOURS turned to UTC, as the zone stands on that day."""
    noon = datetime.datetime.fromordinal(EPOCH.toordinal() + day).replace(hour=12, tzinfo=datetime.timezone.utc)
    shift = round(noon.astimezone(ZoneInfo(time_zone)).utcoffset().total_seconds() / 3600)
    return [HOURS[(hour + shift) % 24] for hour in range(24)]


def demand(merchant, day, first_day):
    """The relative trade of a day: season, week and growth."""
    date = EPOCH + datetime.timedelta(days=day)
    # Highest around 10 December; a negative season peaks in June.
    season = 1 + merchant.season * 0.5 * math.cos(2 * math.pi * (date.timetuple().tm_yday - 344) / 365)
    week = merchant.weekend if date.weekday() >= 5 else (1.08 if date.weekday() == 0 else 1.0)
    return season * week * (1 + merchant.growth) ** ((day - first_day) / 30.4)


def draw_count(rng, mean):
    """A Poisson number."""
    if mean > 40:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
