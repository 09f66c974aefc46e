"""How a generator learns: again the same, after a kill, in a budget, from any table at all."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rag_pipeline.synthetic.errors import SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.saved import load_generator, save_generator
from rag_pipeline.synthetic.tables.autoregressive import Autoregressive, Settings
from rag_pipeline.synthetic.tables.coding import NumberCodec, Range
from rag_pipeline.synthetic.tables.table import Column, Schema, Table, Values
from rag_pipeline.synthetic.tables.values import Kind
from rag_pipeline.training.checkpoints import CheckpointFile
from rag_pipeline.training.progress import Progress

TINY = Settings(width=16, depth=1, embedding=4, steps=12, batch_size=32, learning_rate=0.02)
RECORDS = 400


Array = npt.NDArray[Any]


def table(**columns: tuple[Kind, Array]) -> Table:
    described = (
        Column(name=name, kind=kind, decimals=2 if kind == "number" else None)
        for name, (kind, _) in columns.items()
    )
    values = {name: values for name, (_, values) in columns.items()}
    return Table(schema=Schema(columns=tuple(described)), values=values)


def names(values: list[str | None]) -> Values:
    return np.array(values, np.object_)


def mixed(records: int = RECORDS) -> Table:
    chance = np.random.default_rng(4)
    kind = chance.choice(["a", "b", "c"], records)
    size = (kind == "b") * 5 + chance.normal(0, 0.1, records)
    size[::7] = np.nan
    return table(
        kind=("category", names(kind.tolist())),
        size=("number", size.round(2)),
        day=("datetime", chance.integers(18_000, 19_000, records) * 86_400.0),
        sure=("boolean", (kind == "a").astype(float)),
    )


def bytes_of(model: Autoregressive) -> str:
    said = b"".join(name.encode() + array.tobytes() for name, array in model.arrays().items())
    return hashlib.sha256(said).hexdigest()


def same(one: Table, other: Table) -> bool:
    return one.records() == other.records()


_PROGRAM = """
from tests_of_learning import TINY, Autoregressive, Fitting, bytes_of, mixed
model = Autoregressive.fit(mixed(), TINY, Fitting(seed=7))[0]
print(bytes_of(model), repr(str(model.sample(50, seed=2).records())))
"""


def test_another_process_learns_the_same_bytes_and_draws_the_same_records(tmp_path: Path) -> None:
    (tmp_path / "tests_of_learning.py").write_text(Path(__file__).read_text("utf-8"), "utf-8")

    found = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={"PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}", "PYTHONHASHSEED": "99"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    model = Autoregressive.fit(mixed(), TINY, Fitting(seed=7))[0]
    assert found == f"{bytes_of(model)} {str(model.sample(50, seed=2).records())!r}"


@pytest.mark.parametrize("at", [1, 4, 7])
def test_a_fit_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path, at: int) -> None:
    def killed(progress: Progress) -> None:
        if progress.loss is not None and progress.step == at:
            raise InterruptedError

    def file() -> CheckpointFile:
        return CheckpointFile(path=tmp_path / "c.safetensors", fingerprint="x", every_s=0)

    whole, expected = Autoregressive.fit(mixed(), TINY)
    with pytest.raises(InterruptedError):
        Autoregressive.fit(mixed(), TINY, Fitting(checkpoints=file(), observe=killed))
    resumed, found = Autoregressive.fit(mixed(), TINY, Fitting(checkpoints=file()))
    assert found == expected
    assert bytes_of(resumed) == bytes_of(whole)


def test_the_steps_of_a_budget_give_the_same_bytes_without_it() -> None:
    model, trained = Autoregressive.fit(mixed(), TINY, Fitting(budget_s=0.4))
    settings = replace(TINY, steps=trained.planned_steps)
    again, _ = Autoregressive.fit(mixed(), settings)
    assert bytes_of(again) == bytes_of(model)


def many(count: int) -> Table:
    chance = np.random.default_rng(0)
    return table(
        **{f"n{at}": ("number", chance.normal(size=RECORDS).round(2)) for at in range(count)},
        **{
            f"c{at}": ("category", names(chance.choice(["x", "y"], RECORDS).tolist()))
            for at in range(count)
        },
    )


TABLES: dict[str, Callable[[], Table]] = {
    "numbers alone": lambda: table(x=("number", np.random.default_rng(0).normal(size=RECORDS))),
    "names alone": lambda: table(x=("category", names(["a", "b", "b", None] * 100))),
    "one value": lambda: table(x=("number", np.full(RECORDS, 3.0))),
    "one name": lambda: table(x=("category", names(["a"] * RECORDS))),
    "no value": lambda: table(x=("number", np.full(RECORDS, np.nan)), y=mixed_column()),
    "no name": lambda: table(x=("category", names([None] * RECORDS)), y=mixed_column()),
    "names of one each": lambda: table(x=("category", names([f"n{n}" for n in range(RECORDS)]))),
    "numbers of one each": lambda: table(x=("integer", np.arange(RECORDS) * 7.0)),
    "10,000 names": lambda: table(
        x=("category", names([f"n{n % 10_000}" for n in range(60_000)])),
        y=("integer", np.arange(60_000) % 9.0),
    ),
    "wide": lambda: many(50),
    "one record and again": lambda: table(x=("number", np.array([1.0, 2.0] * 50))),
}


def mixed_column() -> tuple[Kind, Array]:
    return "integer", np.arange(RECORDS) % 9.0


@pytest.mark.parametrize("kind", TABLES)
def test_any_table_is_learnt_saved_and_drawn_from(kind: str, tmp_path: Path) -> None:
    real = TABLES[kind]()
    model, _ = Autoregressive.fit(real, Settings(steps=2))
    drawn = model.sample(60, seed=3)
    assert len(drawn) == 60
    for name, values in real.values.items():
        known = set(values.tolist()) | {None}
        if values.dtype == np.object_:
            assert set(drawn.values[name].tolist()) <= known
        elif np.isnan(values).all():
            assert np.isnan(drawn.values[name]).all()
        else:
            assert not np.isnan(drawn.values[name]).any()
            assert values.min() <= drawn.values[name].min()
            assert drawn.values[name].max() <= values.max()
    save_generator(model, tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 8 * 2**20
    assert same(load_generator(tmp_path).sample(60, seed=3), drawn)  # type: ignore[attr-defined]


def test_times_stay_days_and_lie_in_a_range_that_is_asked_for() -> None:
    model, _ = Autoregressive.fit(mixed(), TINY)
    day = 86_400.0
    assert set(model.sample(80).values["day"] % day) == {0.0}
    week = Range(low=18_500 * day - 3, high=18_506 * day + 3)
    drawn = model.sample_conditionally(80, {"day": week})
    assert set(drawn.values["day"] / day) <= set(range(18_500, 18_507))


def test_what_is_missing_is_filled_in_given_the_rest_which_stays() -> None:
    real = mixed(1_500)
    settings = Settings(width=64, depth=1, embedding=8, steps=300, learning_rate=6e-3)
    model, _ = Autoregressive.fit(real, settings)
    filled = model.impute(real, seed=1)
    was_missing = np.isnan(real.values["size"])
    assert not np.isnan(filled.values["size"]).any()
    for name, values in real.values.items():
        kept = ~was_missing if name == "size" else np.ones(len(real), np.bool_)
        assert np.array_equal(filled.values[name][kept], values[kept])
    is_b = (real.values["kind"] == "b")[was_missing]
    drawn = filled.values["size"][was_missing]
    assert np.mean((drawn > 2.5) == is_b) > 0.95
    assert same(model.impute(real, seed=1), filled)
    assert not same(model.impute(real, seed=2), filled)


def test_more_columns_than_any_network_has_room_for_are_refused() -> None:
    with pytest.raises(SyntheticError, match="9000 columns are too many to learn"):
        Settings().bounded([NumberCodec.learnt(np.arange(400.0), decimals=0)] * 9_000)
