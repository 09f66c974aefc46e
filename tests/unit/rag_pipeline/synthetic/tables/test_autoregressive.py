"""A generator that learns a small table."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.pensioners import pensioners

from rag_pipeline.synthetic.errors import ModelFileError
from rag_pipeline.synthetic.judging.tables import detection, efficacy, quality
from rag_pipeline.synthetic.saved import ABOUT, TENSORS, load_generator, save_generator
from rag_pipeline.synthetic.tables.autoregressive import Autoregressive, Settings
from rag_pipeline.synthetic.tables.coding import Range
from rag_pipeline.synthetic.tables.table import Table

SMALL = Settings(width=64, depth=1, embedding=8, steps=400, batch_size=128, learning_rate=8e-3)


@pytest.fixture(scope="module")
def real() -> Table:
    return pensioners(2_000, 1)


@pytest.fixture(scope="module")
def model(real: Table) -> Autoregressive:
    return Autoregressive.fit(real, SMALL)[0]


def test_what_is_drawn_is_like_what_was_learnt(model: Autoregressive, real: Table) -> None:
    drawn, fresh = model.sample(1_000, seed=1), pensioners(1_000, 2)
    found = quality(real, drawn)
    assert found.shape > 0.95
    assert found.trend > 0.9
    assert detection(fresh, drawn) < 0.75
    assert efficacy(drawn, fresh, "pay") > 0.9 * efficacy(pensioners(1_000, 4), fresh, "pay")
    alone = pensioners(1_000, 3)
    alone.values["pay"][:] = np.random.default_rng(0).permutation(alone.values["pay"])
    assert quality(real, alone).trend < found.trend
    assert detection(fresh, alone) > 0.9


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
