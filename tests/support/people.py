"""A table of people who do not exist, and settings under which it is learnt in a moment."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

QUICK = {"width": 16, "depth": 1, "embedding": 4, "steps": 40}
LOOSE = {
    "fewest_records": 50,
    "fewest_held_out": 20,
    "unseen": 1.0,
    "shape_error": 1.0,
    "shape_error_ratio": 1e6,
    "trend_error": 1.0,
    "trend_error_ratio": 1e6,
    "detection": 1.0,
    "efficacy_ratio": 0.0,
    "coverage": 0.0,
    "unique_ratio": 0.0,
    "exact_copies": 1.0,
    "near_copies": 1.0,
    "closer_to_train": 1.0,
    "membership": 1.0,
    "singled_out": 1.0,
}
"""Limits that a generator keeps which has hardly learnt anything."""


def people(count: int, seed: int = 0) -> list[dict[str, Any]]:
    chance = np.random.default_rng(seed)
    ages = chance.normal(40, 12, count).clip(18, 80).astype(int).tolist()
    trades = chance.choice(["clerk", "smith", "baker"], count, p=[0.5, 0.3, 0.2]).tolist()
    pays = chance.normal(0, 5, count).tolist()
    return [
        {
            "id": f"p{number}",
            "age": age,
            "trade": trade,
            "pay": round(20 + age / 2 + 10 * (trade == "smith") + pay, 2),
        }
        for number, (age, trade, pay) in enumerate(zip(ages, trades, pays, strict=True))
    ]


def write_people(path: Path, count: int = 700, seed: int = 0) -> Path:
    rows = people(count, seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
