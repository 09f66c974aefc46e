"""Whatever a generator draws, under constraints nothing is given that breaks one."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.independent_columns import IndependentColumns

from rag_pipeline.synthetic.errors import ModelFileError, SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.judging.tables import quality
from rag_pipeline.synthetic.saved import load_generator, save_generator
from rag_pipeline.synthetic.tables.checking import violations
from rag_pipeline.synthetic.tables.coding import Range, Wanted
from rag_pipeline.synthetic.tables.conditions import fulfilling
from rag_pipeline.synthetic.tables.constrained import Constrained, Settings
from rag_pipeline.synthetic.tables.constraint_text import constraints_of
from rag_pipeline.synthetic.tables.constraints import ConstraintError
from rag_pipeline.synthetic.tables.table import Table, Values, table_of

Record = Mapping[str, Any]
Holds = Callable[[Record], bool]

SMALL = {"width": 48, "depth": 1, "embedding": 8, "steps": 200, "learning_rate": 6e-3}
TEXTS = (
    "a + b = total",
    "start <= end",
    "age >= 18",
    "if pensioner = 'yes' then age >= 65",
    "if pensioner = 'no' then pension is missing",
    "combination(city, land)",
    "pay = hours * rate",
    "one-hot(red, green, blue)",
)


def exact(value: object) -> Fraction:
    """The decimal that is shown, not the float's."""
    return Fraction(repr(value))


def accounts(count: int, seed: int) -> Table:
    chance = np.random.default_rng(seed)
    records = []
    for number in range(count):
        a, b = round(float(chance.exponential(50)), 2), round(float(chance.exponential(20)), 1)
        start, age = int(chance.integers(0, 50)), int(chance.integers(18, 90))
        city, colour = str(chance.choice(["Ulm", "Bonn", "Paris"])), int(chance.integers(3))
        hours, rate = int(chance.integers(1, 9)), round(float(chance.uniform(10, 90)), 2)
        records.append(
            {"key": f"k{number}", "a": a, "b": b, "total": round(a + b, 2), "start": start,
             "end": start + int(chance.integers(0, 20)), "age": age,
             "pensioner": "yes" if age >= 65 else "no", "pension": 900 if age >= 65 else None,
             "city": city, "land": "F" if city == "Paris" else "D", "hours": hours, "rate": rate,
             "pay": round(hours * rate, 2), "red": colour == 0, "green": colour == 1,
             "blue": colour == 2}
        )  # fmt: skip
    return table_of(records)


HOLDS: Mapping[str, Holds] = {
    "sum": lambda r: exact(r["a"]) + exact(r["b"]) == exact(r["total"]),
    "order": lambda r: r["start"] <= r["end"],
    "age": lambda r: r["age"] >= 18,
    "pensioner": lambda r: r["pensioner"] != "yes" or r["age"] >= 65,
    "pension": lambda r: r["pensioner"] != "no" or r["pension"] is None,
    "city": lambda r: (r["city"] == "Paris") == (r["land"] == "F"),
    "pay": lambda r: (
        abs(exact(r["hours"]) * exact(r["rate"]) - exact(r["pay"])) <= Fraction(1, 200)
    ),
    "colour": lambda r: [r["red"], r["green"], r["blue"]].count(True) == 1,
}


def kept(table: Table) -> None:
    """Every rule of `accounts`, by exact arithmetic that shares nothing with what is tested."""
    for record in table.records():
        for name, holds in HOLDS.items():
            assert holds(record), (name, record)


@pytest.fixture(scope="module")
def real() -> Table:
    return accounts(800, 1)


@pytest.fixture(scope="module")
def independent(real: Table) -> Constrained:
    constraints = constraints_of(TEXTS, real.schema)
    return Constrained.around(IndependentColumns.learnt(real), constraints, real)


@pytest.fixture(scope="module")
def model(real: Table) -> Constrained:
    return Constrained.fit(real, Settings(constraints=TEXTS, settings=SMALL), Fitting(seed=1))[0]


def test_columns_that_know_nothing_of_each_other_keep_all_constraints_together(
    independent: Constrained, real: Table
) -> None:
    assert violations(independent.generator.sample(500), independent.constraints).mask.all()
    drawn = independent.sample(500, seed=3)
    assert len(drawn) == 500
    kept(drawn)
    shapes = quality(real, drawn).shapes
    assert min(shapes[name] for name in ("a", "b", "total", "city", "hours", "rate")) > 0.8


def test_what_a_network_draws_keeps_all_constraints_too(model: Constrained, real: Table) -> None:
    drawn = model.sample(500, seed=3)
    kept(drawn)
    assert quality(real, drawn).shape > 0.88


CONDITIONS: tuple[Mapping[str, Wanted], ...] = (
    {"age": Range(low=70, high=72)},
    {"total": Range(low=10, high=12)},
    {"a": Range(low=3.1, high=3.2), "b": Range(low=2, high=2)},
    {"pay": Range(low=300, high=310)},
    {"city": frozenset({"Paris"}), "red": Range(low=1)},
    {"pensioner": frozenset({"yes"}), "end": Range(low=60)},
    {"pension": frozenset({None})},
    {"start": Range(low=45), "end": Range(high=46)},
)


@pytest.mark.parametrize("where", CONDITIONS)
def test_conditions_of_the_caller_and_constraints_hold_together(
    independent: Constrained, where: Mapping[str, Wanted]
) -> None:
    drawn = independent.sample_conditionally(60, where, seed=1)
    assert len(drawn) == 60
    assert fulfilling(drawn, where).all()
    kept(drawn)


@pytest.mark.parametrize("where", CONDITIONS[2:5])
def test_conditions_and_constraints_hold_together_for_a_network_too(
    model: Constrained, where: Mapping[str, Wanted]
) -> None:
    drawn = model.sample_conditionally(60, where, seed=1)
    assert fulfilling(drawn, where).all()
    kept(drawn)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"age": Range(high=30), "pensioner": frozenset({"yes"})}, "nothing is left for"),
        ({"city": frozenset({"Ulm"}), "land": frozenset({"F"})}, "nothing is left for"),
        ({"red": Range(low=1), "blue": Range(low=1)}, "nothing is left for"),
        ({"total": Range(high=1), "a": Range(low=50)}, "nothing is left for"),
        ({"hat": frozenset({"red"})}, "no column 'hat'"),
    ],
)
def test_conditions_that_contradict_the_constraints_are_refused(
    independent: Constrained, where: Mapping[str, Wanted], said: str
) -> None:
    with pytest.raises(SyntheticError, match=said):
        independent.sample_conditionally(10, where)


def test_a_generator_that_is_held_draws_nothing_that_breaks_a_constraint(
    model: Constrained,
) -> None:
    free = model.generator.sample(400, seed=1)
    held = model._held(400, {}, seed=1)
    assert violations(free, model.constraints).mask.all()
    assert violations(held, model.constraints).mask.mean() < 0.02


def test_values_are_unique_where_they_must_be_and_the_lack_of_them_is_said() -> None:
    chance = np.random.default_rng(0)
    numbers = chance.integers(0, 300, 400).tolist()
    table = table_of({"number": n, "side": str(n % 2), "x": n / 7} for n in numbers)
    constraints = constraints_of(["unique(number, side)"], table.schema)
    generator = Constrained.around(IndependentColumns.learnt(table), constraints, table)
    drawn = generator.sample(200)
    assert len({(r["number"], r["side"]) for r in drawn.records()}) == 200
    with pytest.raises(ConstraintError, match=r"only \d+ of 2000 records were found"):
        generator.sample(2_000)


def test_the_same_seed_gives_the_same_records_saved_or_not(
    model: Constrained, tmp_path: Path
) -> None:
    save_generator(model, tmp_path)
    loaded = load_generator(tmp_path)
    assert isinstance(loaded, Constrained)
    where = {"city": frozenset({"Ulm"})}
    for generator in (model, loaded):
        drawn = generator.sample_conditionally(40, where, seed=5).records()
        assert drawn == model.sample_conditionally(40, where, seed=5).records()
    assert loaded.sample(9, seed=1).records() != loaded.sample(9, seed=2).records()
    about = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(about.replace("age >= 18", "hat >= 18"))
    with pytest.raises(ModelFileError, match="no column 'hat'"):
        load_generator(tmp_path)


def test_records_that_break_a_constraint_are_not_learnt_and_most_may_not() -> None:
    table = accounts(300, 2)
    table.values["age"][:3] = 5.0
    chosen = Settings(constraints=("age >= 18",), settings={**SMALL, "steps": 5})
    assert Constrained.fit(table, chosen)[0].sample(50).values["age"].min() >= 18
    with pytest.raises(ConstraintError, match=r"300 of 300 records break: 'age >= 900'"):
        Constrained.fit(table, Settings(constraints=("age >= 900",)))
    with pytest.raises(ConstraintError, match="no record can keep 'age >= 18' and 'age < 10'"):
        Constrained.fit(table, Settings(constraints=("age >= 18", "age < 10")))
    with pytest.raises(ConstraintError, match="'key', which is not learnt"):
        Constrained.fit(table, Settings(constraints=("key != 'x'",), settings=chosen.settings))


def test_strangeness_is_that_of_the_generator_and_endless_where_a_constraint_breaks(
    model: Constrained,
) -> None:
    table = accounts(20, 9)
    table.values["end"][0] = table.values["start"][0] - 1
    scores = model.score_anomalies(table)
    assert np.isinf(scores).tolist() == [True] + [False] * 19


def has_gaps(values: Values) -> bool:
    """Whether something is missing."""
    return any(one is None or one != one for one in values.tolist())


@st.composite
def ruled_tables(  # noqa: C901  # a case for each kind of constraint
    draw: st.DrawFn,
) -> tuple[Table, list[str], list[Holds]]:
    """A random table with random constraints that its records keep, and exact checks of them."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = 120
    columns: dict[str, list[Any]] = {}
    texts: list[str] = []
    holds: list[Holds] = []

    def numbers(decimals: int) -> list[float]:
        spread = float(chance.choice([3.0, 40.0, 1_000.0]))
        drawn = np.round(chance.normal(chance.normal(0, 20), spread, count), decimals)
        return [float(one) + 0.0 for one in drawn]

    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["sum", "order", "range", "if", "pairs", "product", "one"]))
        p, q, r = (f"{name}{number}" for name in "pqr")
        decimals = draw(st.integers(0, 3))
        first, second = numbers(decimals), numbers(draw(st.integers(0, decimals)))
        match kind:
            case "sum":
                sign = draw(st.sampled_from([1, -1]))
                third = [
                    float(exact(x) + sign * exact(y)) for x, y in zip(first, second, strict=True)
                ]
                columns |= {p: first, q: second, r: third}
                texts.append(f"{p} {'+' if sign > 0 else '-'} {q} = {r}")
                holds.append(
                    lambda o, p=p, q=q, r=r, s=sign: exact(o[p]) + s * exact(o[q]) == exact(o[r])
                )
                if draw(st.booleans()):  # another constraint on the same column
                    columns[f"{p}s"] = [one + 7 for one in map(int, third)]
                    texts.append(f"{r} < {p}s")
                    holds.append(lambda o, r=r, s=f"{p}s": o[r] < o[s])
            case "order":
                strict = draw(st.booleans())
                more = [
                    float(exact(x) + abs(int(y)) + strict)
                    for x, y in zip(first, second, strict=True)
                ]
                columns |= {p: first, q: more}
                texts.append(f"{p} {'<' if strict else '<='} {q}")
                holds.append(lambda o, p=p, q=q, s=strict: o[p] < o[q] or (not s and o[p] == o[q]))
            case "range":
                low, high = sorted(first)[count // 4], sorted(first)[3 * count // 4]
                columns[p] = [min(max(one, low), high) for one in first]
                texts.append(f"{low} <= {p} <= {high}")
                holds.append(lambda o, p=p, low=low, high=high: low <= o[p] <= high)
            case "if":
                limit = sorted(first)[count // 2]
                columns |= {p: first, q: ["x" if one >= limit else "y" for one in first]}
                texts.append(f"if {q} = 'x' then {p} >= {limit}")
                holds.append(lambda o, p=p, q=q, at=limit: o[q] != "x" or o[p] >= at)
            case "pairs":
                places = chance.integers(0, 6, count).tolist()
                columns |= {p: [f"n{one}" for one in places], q: [f"m{one % 3}" for one in places]}
                texts.append(f"combination({p}, {q})")
                holds.append(lambda o, p=p, q=q: int(o[p][1:]) % 3 == int(o[q][1:]))
            case "product":
                times = chance.integers(1, 9, count).tolist()
                third = [
                    round(float(exact(x) * t), decimals) for x, t in zip(first, times, strict=True)
                ]
                columns |= {p: first, q: times, r: third}
                texts.append(f"{r} = {p} * {q}")
                holds.append(lambda o, p=p, q=q, r=r: exact(o[r]) == exact(o[p]) * exact(o[q]))
            case _:
                places = chance.integers(0, 3, count).tolist()
                columns |= {n: [one == at for one in places] for at, n in enumerate((p, q, r))}
                texts.append(f"one-hot({p}, {q}, {r})")
                holds.append(lambda o, p=p, q=q, r=r: o[p] + o[q] + o[r] == 1)
    for name in draw(st.sets(st.sampled_from([*columns]))):
        lacks = chance.random(count) < 0.2
        columns[name] = [
            None if lack else one for one, lack in zip(columns[name], lacks, strict=True)
        ]
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return table_of(records), texts, holds


@settings(max_examples=50)
@given(ruled_tables(), st.integers(0, 99))
def test_any_table_under_any_constraints_of_its_own_gives_records_that_keep_them(
    ruled: tuple[Table, list[str], list[Holds]], seed: int
) -> None:
    table, texts, holds = ruled
    constraints = constraints_of(texts, table.schema)
    assert not violations(table, constraints)
    generator = Constrained.around(IndependentColumns.learnt(table), constraints, table)
    drawn = generator.sample(40, seed=seed)
    assert len(drawn) == 40
    for record in drawn.records():
        for text, hold in zip(texts, holds, strict=True):
            about = {name: value for name, value in record.items() if name in text}
            assert None in about.values() or hold(record), (text, record)
    lacking = {name for name, values in table.values.items() if has_gaps(values)}
    assert {name for name, values in drawn.values.items() if has_gaps(values)} <= lacking
