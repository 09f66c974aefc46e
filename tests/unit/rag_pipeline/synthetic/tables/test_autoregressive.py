"""A generator that learns a small table."""

import json
from pathlib import Path

import numpy as np
import pytest

from rag_pipeline.synthetic.errors import ModelFileError, SyntheticError
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.judging.tables import detection, efficacy, quality
from rag_pipeline.synthetic.saved import ABOUT, TENSORS, load_generator, save_generator
from rag_pipeline.synthetic.tables.autoregressive import Autoregressive, Settings
from rag_pipeline.synthetic.tables.coding import Range
from rag_pipeline.synthetic.tables.table import Table, table_of

SMALL = Settings(width=64, depth=1, embedding=8, steps=600, batch_size=128, learning_rate=6e-3)


def people(count: int, seed: int) -> Table:
    """Pay follows from age and trade, and a pensioner is over 65."""
    chance = np.random.default_rng(seed)
    records = []
    for number in range(count):
        age, trade = int(chance.integers(18, 90)), str(chance.choice(["smith", "clerk", "nurse"]))
        pay = 20 * age + {"smith": 0, "clerk": 900, "nurse": 2_000}[trade] + chance.normal(0, 60)
        record = {"key": f"p{seed}-{number}", "age": age, "trade": trade, "pay": round(pay, 2)}
        records.append({**record, "pensioner": "yes" if age > 65 else "no"})
    return table_of(records)


@pytest.fixture(scope="module")
def real() -> Table:
    return people(3_000, 1)


@pytest.fixture(scope="module")
def model(real: Table) -> Autoregressive:
    return Autoregressive.fit(real, SMALL)[0]


def same(one: Table, other: Table) -> bool:
    return one.records() == other.records()


def test_what_is_drawn_is_like_what_was_learnt(model: Autoregressive, real: Table) -> None:
    drawn, fresh = model.sample(1_000, seed=1), people(1_000, 2)
    found = quality(real, drawn)
    assert found.shape > 0.95
    assert found.trend > 0.9
    assert detection(fresh, drawn) < 0.75
    assert efficacy(drawn, fresh, "pay") > 0.9 * efficacy(people(1_000, 4), fresh, "pay")
    alone = people(1_000, 3)
    alone.values["pay"][:] = np.random.default_rng(0).permutation(alone.values["pay"])
    assert quality(real, alone).trend < found.trend
    assert detection(fresh, alone) > 0.9


def test_the_same_seed_draws_the_same_and_another_one_does_not(model: Autoregressive) -> None:
    assert same(model.sample(1_500, seed=3), model.sample(1_500, seed=3))
    assert not same(model.sample(50, seed=3), model.sample(50, seed=4))


def test_the_same_table_and_seed_give_the_same_weights(real: Table) -> None:
    size = Settings(width=32, depth=1, embedding=4, steps=20)
    first, second = (Autoregressive.fit(real, size, Fitting(seed=5))[0] for _ in range(2))
    for one, other in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert np.array_equal(one.detach().numpy(), other.detach().numpy())


def test_keys_are_issued_anew(model: Autoregressive, real: Table) -> None:
    drawn = model.sample(100)
    assert len(set(drawn.values["key"])) == 100
    assert not set(drawn.values["key"]) & set(real.values["key"])


def test_all_that_is_drawn_under_conditions_fulfils_them(model: Autoregressive) -> None:
    where = {"age": Range(low=30, high=34), "trade": frozenset({"nurse", "clerk"})}
    drawn = model.sample_conditionally(300, where)
    assert set(drawn.values["age"]) <= {30, 31, 32, 33, 34}
    assert set(drawn.values["trade"]) == {"nurse", "clerk"}
    assert np.mean(drawn.values["pensioner"] == "no") > 0.97
    expected = {"clerk": 900 + 20 * 32, "nurse": 2_000 + 20 * 32}
    for trade, pay in expected.items():
        of_trade = drawn.values["pay"][drawn.values["trade"] == trade]
        assert abs(np.median(of_trade) - pay) < 150


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"trade": frozenset({"pilot"})}, "no record can have 'trade' like that"),
        ({"age": Range(low=200)}, "no record can have 'age' like that"),
        ({"trade": Range(low=1)}, "names lie in no range"),
        ({"hat": frozenset({"red"})}, "there is no column 'hat'"),
        ({"key": frozenset({"p1-1"})}, "'key' is not learnt"),
    ],
)
def test_what_no_record_can_be_is_said(
    model: Autoregressive, where: dict[str, Range | frozenset[str | None]], said: str
) -> None:
    with pytest.raises(SyntheticError, match=said):
        model.sample_conditionally(10, where)


def test_a_record_that_contradicts_itself_is_stranger_than_others(model: Autoregressive) -> None:
    usual = people(200, 4)
    odd = people(200, 4)
    odd.values["pensioner"][:] = np.where(odd.values["age"] > 65, "no", "yes")
    assert model.score_anomalies(odd).mean() > model.score_anomalies(usual).mean() + 1


def test_too_few_records_are_refused() -> None:
    with pytest.raises(SyntheticError, match="99 records are too few"):
        Autoregressive.fit(people(99, 1), SMALL)


def test_what_is_saved_and_loaded_draws_the_same(model: Autoregressive, tmp_path: Path) -> None:
    save_generator(model, tmp_path)
    assert same(load_generator(tmp_path).sample(200, seed=9), model.sample(200, seed=9))


def test_damaged_and_foreign_files_are_refused(model: Autoregressive, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="holds no generator"):
        load_generator(tmp_path)
    save_generator(model, tmp_path)
    whole = (tmp_path / TENSORS).read_bytes()
    (tmp_path / TENSORS).write_bytes(whole[:-1])
    with pytest.raises(ModelFileError, match="is not the file that"):
        load_generator(tmp_path)
    (tmp_path / TENSORS).write_bytes(whole)
    about = json.loads((tmp_path / ABOUT).read_text())
    for change, said in (
        ({"form": 1}, "another form"),
        ({"method": "os.system"}, "no method 'os.system'"),
        ({"settings": {**about["settings"], "width": 32}}, "does not fit together"),
        ({"codecs": [["age", "pickle"]]}, "does not fit together"),
    ):
        (tmp_path / ABOUT).write_text(json.dumps({**about, **change}))
        with pytest.raises(ModelFileError, match=said):
            load_generator(tmp_path)
