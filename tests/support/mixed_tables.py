"""Tables of made-up records with all that makes columns hard to learn."""

import numpy as np

from rag_pipeline.synthetic.tables.table import Table, table_of


def workers(count: int, seed: int) -> Table:
    """Pay follows from age and trade, most have no bonus, one in a thousand is a diver."""
    chance = np.random.default_rng(seed)
    records = []
    for number in range(count):
        age = int(chance.integers(18, 90))
        trade = str(chance.choice(["smith", "clerk", "nurse"]))
        pay = 20 * age + {"smith": 0, "clerk": 900, "nurse": 2_000}[trade] + chance.normal(0, 60)
        record = {
            "key": f"w{seed}-{number}",
            "age": age,
            "trade": "diver" if number % 1_000 == 7 else trade,
            "pay": round(pay, 2),
            "bonus": round(pay / 10, 1) if trade == "nurse" and age > 50 else 0,
            "pensioner": "yes" if age > 65 else "no",
        }
        records.append({**record, "pay": None} if number % 25 == 3 else record)
    return table_of(records)


def odd_columns(count: int) -> Table:
    """Constant, empty, all different, half missing, of so many names that most are rare."""
    return table_of(
        {
            "same": 4,
            "alone": "x",
            "empty": None,
            "count": number,
            "name": f"n{number}",
            "half": number % 7 if number % 2 else None,
            "many": f"m{number % (count - 1)}",
            "often": f"o{number % 150}",
            "when": f"2024-01-{1 + number % 28:02d}",
            "truth": "true" if number % 3 else "false",
        }
        for number in range(count)
    )


def one_column(kind: str, count: int = 200) -> Table:
    """Of numbers, names, one value alone, or nothing at all."""
    values = {
        "numbers": lambda number: number * 0.37 % 11,
        "names": lambda number: f"n{number % 3}",
        "constant": lambda _: 2.5,
        "empty": lambda _: None,
    }[kind]
    return table_of({"it": values(number)} for number in range(count))
