"""Visits of patients who do not exist: series in which one record says much of the next."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

NEXT = {"new": "observed", "observed": "treated", "treated": "cured", "cured": "new"}
QUICK_SERIES = {"width": 24, "steps": 60, "dropout": 0.1, "learning_rate": 1e-2}
LOOSE_SERIES = {
    "fewest_series": 30,
    "fewest_held_out_series": 20,
    "unseen": 1.0,
    "shape_error": 1.0,
    "shape_error_ratio": 1e6,
    "trend_error": 1.0,
    "trend_error_ratio": 1e6,
    "length_error": 1.0,
    "step_error": 1.0,
    "dynamics_error": 1.0,
    "dynamics_error_ratio": 1e6,
    "detection": 1.0,
    "coverage": 0.0,
    "unique_ratio": 0.0,
}
"""Limits of quality that a generator keeps which has hardly learnt anything."""


def visits(patients: int, seed: int = 0) -> list[dict[str, Any]]:
    """Sex and clinic stay as they are, states follow one another, pressure moves slowly, and the
    old come more often. Records of all patients stand by their time."""
    chance = np.random.default_rng(seed)
    found = [one for number in range(patients) for one in _of_one(f"p{number}", chance)]
    return sorted(found, key=lambda one: str(one["visited_at"]))


def _of_one(name: str, chance: np.random.Generator) -> Iterator[dict[str, Any]]:
    sex, clinic = str(chance.choice(["f", "m"])), str(chance.choice(["north", "south", "south"]))
    age = int(chance.integers(20, 90))
    state, pressure = str(chance.choice([*NEXT])), chance.normal(110 + age / 3, 12)
    at = datetime(2024, 1, 1, 8, tzinfo=UTC) + timedelta(days=int(chance.integers(0, 300)))
    for _ in range(int(chance.integers(3, 9)) + 4 * (age > 65)):
        yield {
            "patient": name,
            "visited_at": at.isoformat(),
            "sex": sex,
            "clinic": clinic,
            "age": age,
            "state": state,
            "pressure": round(pressure),
        }
        state = NEXT[state] if chance.random() < 0.9 else state
        mean = 110 + age / 3
        pressure = mean + 0.8 * (pressure - mean) + chance.normal(0, 7)
        at += timedelta(days=int(chance.integers(1, 30 if age <= 65 else 15)))


def write_visits(path: Path, patients: int = 240, seed: int = 0) -> Path:
    rows = visits(patients, seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
