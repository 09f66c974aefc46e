"""What every method for tables promises: each learns the same table, and is asked the same."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.mixed_tables import workers
from support.pensioners import AWKWARD, awkward, pensioners

from rag_pipeline.synthetic.errors import ModelFileError, SyntheticError
from rag_pipeline.synthetic.generator import Fitting, TableGenerator
from rag_pipeline.synthetic.judging.tables import quality
from rag_pipeline.synthetic.methods import method, methods, settings_of
from rag_pipeline.synthetic.saved import ABOUT, TENSORS, load_generator, save_generator
from rag_pipeline.synthetic.tables.coding import Range, Wanted
from rag_pipeline.synthetic.tables.conditions import fulfilling
from rag_pipeline.synthetic.tables.table import Table
from rag_pipeline.training.checkpoints import CheckpointFile
from rag_pipeline.training.loop import Trained
from rag_pipeline.training.progress import Progress

SMALL: Mapping[str, Mapping[str, Any]] = {
    "table/autoregressive": {"width": 64, "depth": 1, "embedding": 8, "steps": 400,
                             "batch_size": 128, "learning_rate": 8e-3},
    "table/diffusion": {"width": 64, "depth": 1, "steps": 500, "batch_size": 128,
                        "learning_rate": 1e-2, "flow_steps": 5},
    "table/energy": {"width": 48, "depth": 1, "levels": 25, "steps": 400, "batch_size": 128,
                     "learning_rate": 6e-3},
    "table/flow": {"width": 48, "depth": 1, "layers": 2, "steps": 220, "batch_size": 96,
                   "learning_rate": 6e-3},
    "table/gan": {"width": 64, "depth": 1, "noise": 16, "critic_width": 64, "warm_steps": 250,
                  "steps": 50, "batch_size": 100},
    "table/vae": {"latent": 8, "width": 48, "embedding": 8, "steps": 350, "batch_size": 128,
                  "learning_rate": 1e-2},
}  # fmt: skip
TINY: Mapping[str, Mapping[str, Any]] = {
    "table/autoregressive": {"depth": 1, "embedding": 4},
    "table/diffusion": {"depth": 1, "flow_steps": 3},
    "table/energy": {"depth": 1, "levels": 3},
    "table/flow": {"depth": 1, "layers": 2, "bins": 4},
    "table/gan": {"depth": 1, "noise": 4, "critic_width": 8, "warm_steps": 6, "pack": 2},
    "table/vae": {"latent": 4, "embedding": 4},
}
"""Besides what all have."""
LEAST_TREND = {"table/energy": 0.78, "table/gan": 0.85}
"""Of the others .9."""


class Learnt(NamedTuple):
    """A model, and what it is called."""

    name: str
    model: TableGenerator


def fitted(
    name: str, table: Table, given: Mapping[str, Any], fitting: Fitting | None = None
) -> tuple[TableGenerator, Trained]:
    found: tuple[TableGenerator, Trained] = method(name).fit(  # type: ignore[attr-defined]
        table, settings_of(name, given), fitting
    )
    return found


def tiny(name: str, **given: object) -> Mapping[str, Any]:
    return {"width": 16, "steps": 12, "batch_size": 40, **TINY[name], **given}


def same(one: Table, other: Table) -> bool:
    return one.records() == other.records()


def same_arrays(one: TableGenerator, other: TableGenerator) -> bool:
    arrays = other.arrays()
    return all(np.array_equal(array, arrays[name]) for name, array in one.arrays().items())


@pytest.fixture(scope="module")
def real() -> Table:
    return pensioners(2_000, 1)


@pytest.fixture(scope="module", params=sorted(SMALL))
def learnt(request: pytest.FixtureRequest, real: Table) -> Learnt:
    return Learnt(request.param, fitted(request.param, real, SMALL[request.param])[0])


def test_every_method_is_asked() -> None:
    assert {*SMALL} == {*TINY} == {*methods("table")} - {"table/constrained"}


def test_what_is_drawn_is_like_what_was_learnt(learnt: Learnt, real: Table) -> None:
    drawn = learnt.model.sample(1_000, seed=1)
    found, apart = quality(real, drawn), quality(real, pensioners(1_000, 3, is_shuffled=True))
    assert found.shape > (0.87 if learnt.name == "table/energy" else 0.93)
    assert found.trend > LEAST_TREND.get(learnt.name, 0.9)
    assert found.trend > apart.trend


def test_the_same_seed_draws_the_same_and_another_one_does_not(learnt: Learnt) -> None:
    model = learnt.model
    assert same(model.sample(1_050, seed=3), model.sample(1_050, seed=3))
    assert not same(model.sample(50, seed=3), model.sample(50, seed=4))
    assert len(model.sample(0)) == 0


def test_keys_are_issued_anew(learnt: Learnt, real: Table) -> None:
    keys = set(learnt.model.sample(100).values["key"])
    assert len(keys) == 100
    assert not keys & set(real.values["key"])


def test_all_that_is_drawn_under_conditions_fulfils_them(learnt: Learnt) -> None:
    where: dict[str, Wanted] = {
        "age": Range(low=30, high=34),
        "trade": frozenset({"nurse", "clerk"}),
        "pay": Range(low=1_000.5),
    }
    drawn = learnt.model.sample_conditionally(200, where)
    assert len(drawn) == 200
    assert fulfilling(drawn, where).all()
    assert np.mean(drawn.values["pensioner"] == "no") > 0.8
    assert {"nurse", "clerk"} == set(drawn.values["trade"])


def test_what_is_not_asked_of_follows_from_what_is(learnt: Learnt) -> None:
    old, young = (
        np.mean(learnt.model.sample_conditionally(200, {"age": age}).values["pensioner"] == "yes")
        for age in (Range(low=75), Range(high=55))
    )
    assert old > young + 0.4


def test_a_condition_that_no_record_learnt_fulfils_is_met_by_all(learnt: Learnt) -> None:
    where: dict[str, Wanted] = {
        "age": Range(low=89),
        "trade": frozenset({"smith"}),
        "pensioner": frozenset({"no"}),
    }
    assert fulfilling(learnt.model.sample_conditionally(60, where, seed=2), where).all()


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"trade": frozenset({"pilot"})}, "no record can have 'trade' like that"),
        ({"age": Range(low=200)}, "no record can have 'age' like that"),
        ({"age": frozenset({None})}, "no record can have 'age' like that"),
        ({"trade": Range(low=1)}, "names lie in no range"),
        ({"hat": frozenset({"red"})}, "there is no column 'hat'"),
        ({"key": frozenset({"p1-1"})}, "'key' is not learnt"),
    ],
)
def test_what_no_record_can_be_is_said(learnt: Learnt, where: dict[str, Wanted], said: str) -> None:
    with pytest.raises(SyntheticError, match=said):
        learnt.model.sample_conditionally(10, where)


def test_a_record_that_contradicts_itself_is_stranger_than_others(learnt: Learnt) -> None:
    if not hasattr(learnt.model, "score_anomalies"):
        pytest.skip(f"{learnt.name} tells no strange records")
    usual, odd = pensioners(200, 4), pensioners(200, 4)
    odd.values["pensioner"][:] = np.where(odd.values["age"] > 65, "no", "yes")
    scores = learnt.model.score_anomalies(usual)
    assert np.mean(learnt.model.score_anomalies(odd) > scores) > 0.8
    alone = learnt.model.score_anomalies(usual.rows(np.array([7])))
    assert np.allclose(alone, scores[7], atol=1e-4)


def test_what_is_saved_and_loaded_draws_the_same(learnt: Learnt, tmp_path: Path) -> None:
    model = learnt.model
    save_generator(model, tmp_path)
    again = load_generator(tmp_path)
    assert isinstance(again, type(model))
    assert same(again.sample(50, seed=9), model.sample(50, seed=9))
    assert again.about() == model.about()
    assert (tmp_path / TENSORS).stat().st_size < 8 * 2**20


@pytest.mark.parametrize("what", ["settings", "unknown setting", "codecs", "schema"])
def test_files_that_do_not_fit_together_are_refused(
    learnt: Learnt, tmp_path: Path, what: str
) -> None:
    save_generator(learnt.model, tmp_path)
    about = json.loads((tmp_path / ABOUT).read_text())
    match what:
        case "settings":
            about["settings"]["width"] = 9
        case "unknown setting":
            about["settings"]["taste"] = 1
        case "codecs":
            about.get("encoding", about)["codecs"][0][1] = "pickle"
        case "schema":
            about["schema"].pop()
    (tmp_path / ABOUT).write_text(json.dumps(about))
    with pytest.raises(ModelFileError, match="does not fit together"):
        load_generator(tmp_path)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_same_table_and_seed_give_the_same_weights(name: str, real: Table) -> None:
    first, second, other = (fitted(name, real, tiny(name), Fitting(seed=at))[0] for at in (5, 5, 6))
    assert same_arrays(first, second)
    assert not same_arrays(first, other)


@pytest.mark.parametrize("at", [2, 7, 10])
@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_fit_that_is_broken_off_and_goes_on_ends_as_if_it_had_not_been(
    name: str, real: Table, tmp_path: Path, at: int
) -> None:
    """The adversaries begin at the seventh step."""
    steps = iter(range(1, 1_000))

    def broken_off(progress: Progress) -> None:
        if progress.loss is not None and next(steps) == at:
            raise InterruptedError

    whole, _ = fitted(name, real, tiny(name))
    file = CheckpointFile(path=tmp_path / "c.safetensors", fingerprint="one", every_s=0)
    with pytest.raises(InterruptedError):
        fitted(name, real, tiny(name), Fitting(checkpoints=file, observe=broken_off))
    assert same_arrays(fitted(name, real, tiny(name), Fitting(checkpoints=file))[0], whole)
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


@pytest.mark.parametrize("name", sorted(SMALL))
def test_what_one_record_in_a_thousand_is_can_be_asked_for(name: str) -> None:
    many = workers(8_000, 5)
    assert np.sum(many.values["trade"] == "diver") == 8
    model, _ = fitted(name, many, tiny(name, steps=3))
    divers = model.sample_conditionally(300, {"trade": frozenset({"diver"})})
    assert set(divers.values["trade"]) == {"diver"}
    unpaid = model.sample_conditionally(50, {"pay": frozenset({None}), "age": Range(high=18)})
    assert np.isnan(unpaid.values["pay"]).all()
    assert set(unpaid.values["age"]) == {18}


@pytest.mark.parametrize("name", sorted(SMALL))
def test_too_few_records_are_refused(name: str) -> None:
    with pytest.raises(SyntheticError, match="99 records are too few"):
        fitted(name, pensioners(99, 1), tiny(name))


@pytest.mark.parametrize("what", AWKWARD)
@pytest.mark.parametrize("name", sorted(SMALL))
def test_awkward_tables_are_learnt_and_drawn(name: str, what: str, tmp_path: Path) -> None:
    table = awkward(what)
    model, trained = fitted(name, table, tiny(name, steps=4))
    assert np.isfinite(trained.losses).all()
    save_generator(model, tmp_path)
    assert (tmp_path / TENSORS).stat().st_size < 8 * 2**20
    drawn: Table = load_generator(tmp_path).sample(40, seed=1)  # type: ignore[attr-defined]
    assert len(drawn.records()) == 40
    for column in table.schema.columns:
        seen, found = table.values[column.name], drawn.values[column.name]
        if column.is_numeric and not np.isnan(seen).any():
            assert not np.isnan(found).any()
        if column.kind == "category":
            assert {*found} <= {*seen}
        if column.is_numeric and np.unique(seen).size == 1:
            assert np.array_equal(found, np.full(40, seen[0]), equal_nan=True)
    if hasattr(model, "impute"):
        assert len(model.impute(table)) == len(table)
    if hasattr(model, "score_anomalies"):
        assert np.isfinite(model.score_anomalies(table)).all()
