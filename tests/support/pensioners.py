"""Small tables for generators to learn."""

import numpy as np

from rag_pipeline.synthetic.tables.table import Table, table_of

AWKWARD = ("constant", "nothing", "all unique", "many names", "one column", "numbers only",
           "names only", "holes")  # fmt: skip


def pensioners(count: int, seed: int, *, is_shuffled: bool = False) -> Table:
    """Pay follows from age and trade, and a pensioner is over 65; shuffled, from nothing."""
    chance = np.random.default_rng(seed)
    records = []
    for number in range(count):
        age, trade = int(chance.integers(18, 90)), str(chance.choice(["smith", "clerk", "nurse"]))
        pay = 20 * age + {"smith": 0, "clerk": 900, "nurse": 2_000}[trade] + chance.normal(0, 60)
        record = {"key": f"p{seed}-{number}", "age": age, "trade": trade, "pay": round(pay, 2)}
        records.append({**record, "pensioner": "yes" if age > 65 else "no"})
    table = table_of(records)
    if is_shuffled:
        for values in table.values.values():
            values[:] = chance.permutation(np.asarray(values))
    return table


def awkward(what: str) -> Table:
    """What nothing can be told of, or too much: one of `AWKWARD`."""
    normal = np.random.default_rng(0).normal(size=300).round(4).tolist()
    rows = range(300)
    return table_of(
        {
            "constant": [{"same": 7, "name": "x"} for _ in rows],
            "nothing": [{"empty": None, "age": n % 9} for n in rows],
            "all unique": [{"value": n * 1.37, "age": n % 7} for n in rows],
            "many names": [
                {"name": f"n{n % 10_000 if n < 10_100 else n % 300}", "x": n} for n in range(11_500)
            ],
            "one column": [{"pet": "cat" if n % 3 else "dog"} for n in rows],
            "numbers only": [{"a": one, "b": one**2} for one in normal],
            "names only": [{"a": f"v{n % 4}", "b": f"w{n % 5}"} for n in rows],
            "holes": [{"x": None if n % 2 else n / 8, "y": None if n % 3 else "u"} for n in rows],
        }[what]
    )
