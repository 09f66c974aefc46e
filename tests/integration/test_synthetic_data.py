"""`rag.synthetic`: from a file to records tagged as synthetic, or to why there are none."""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.people import LOOSE, QUICK, people, write_people
from support.versions import damage, write_model

from rag_pipeline.cli.main import cli
from rag_pipeline.errors import RagError
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.synthetic.errors import ModelFileError, SyntheticError, TableError
from rag_pipeline.synthetic.exporting import ExportWanted
from rag_pipeline.synthetic.fitting_report import FitWanted
from rag_pipeline.synthetic.generator import Fitting
from rag_pipeline.synthetic.images.pictures import digits, png
from rag_pipeline.synthetic.judging.page import page
from rag_pipeline.synthetic.record_loading import LoadWanted
from rag_pipeline.synthetic.sampling_report import Sampled, SampleWanted
from rag_pipeline.synthetic.table_records import TableRecords
from rag_pipeline.synthetic.tables.table import Table
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.training.progress import Progress
from rag_pipeline.versions.errors import RegistryError
from rag_pipeline.weights.errors import WeightsDamagedError
from storage.errors import FilterError, InvalidRecordError, NotFoundError, StorageError
from storage.records import Principal

FIT = FitWanted(name="people", settings=QUICK)
DRAW = SampleWanted(name="people", count=150, thresholds=LOOSE)
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def rag(tmp_path: Path, database_url: str) -> Iterator[RagPipeline]:
    """With a set of records that nothing has learnt."""
    with RagPipeline.open(tmp_path / "home", database=database_url, generator="echo") as rag:
        rag.synthetic.load(LoadWanted(name="people", path=write_people(tmp_path / "people.csv")))
        yield rag


@pytest.fixture
def fitted(rag: RagPipeline) -> RagPipeline:
    rag.synthetic.fit(FIT)
    return rag


def _drawn(sampled: Sampled) -> list[dict[str, Any]]:
    return [{**record, "id": None} for record in sampled.drawn.records()]


def test_a_set_is_learnt_drawn_judged_and_tagged_and_goes_again(
    fitted: RagPipeline, tmp_path: Path
) -> None:
    synthetic = fitted.synthetic
    sampled = synthetic.sample(replace(DRAW, where="age >= 40 and trade != 'clerk'"))

    (model,) = synthetic.models("people")
    assert (model.kind, model.storage, model.seed) == ("synthetic", "blob", 0)
    assert model.datasets == (("trained_on", "people@1"),)
    assert model.parameters["settings"]["width"] == QUICK["width"]
    assert 0 < model.metrics["shapes"] <= 1
    (real, batch) = synthetic.batches("people")
    assert (batch.origin, batch.records, batch.verdict) == ("synthetic", 150, "passed")
    assert (batch.model, batch.generator_id) == (model.reference, model.reference)
    assert (batch.weights_sha256, batch.seed) == (model.weights_sha256, sampled.seed)
    assert batch.conditions == {"where": "age >= 40 and trade != 'clerk'"}
    assert batch.thresholds["shape_error"] == LOOSE["shape_error"]
    assert batch.source_sha256 == fitted.datasets.show("people@1").sha256
    assert synthetic.report("people") == json.loads(json.dumps(sampled.report()))
    rows = [*synthetic.rows("people", "synthetic")]
    assert {(row.origin, row.generator_id, row.batch_id) for row in rows} == {
        ("synthetic", model.reference, batch.batch_id)
    }
    assert all(row.values["age"] >= 40 and row.values["trade"] != "clerk" for row in rows)
    assert len({row.values["id"] for row in rows}) == 150
    assert [*synthetic.rows("people", "real", batch_id=batch.batch_id)] == []

    exported = synthetic.export(
        ExportWanted(name="people", path=tmp_path / "out.jsonl", origin="synthetic")
    )
    assert (exported.real, exported.synthetic) == (0, 150)
    first = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert first["_origin"] == "synthetic"

    assert synthetic.delete_model("people", model.reference).records == 150
    assert synthetic.batches("people") == [real]
    with pytest.raises(SyntheticError, match="nothing has learnt"):
        synthetic.sample(DRAW)
    with pytest.raises(StorageError, match="are missing"):
        fitted.parts.versions.folders.checked(model)
    assert synthetic.delete("people").records == 700
    assert synthetic.sets() == []


@SQLITE
def test_the_same_seed_draws_the_same_and_none_is_somebody_who_was_learnt(
    fitted: RagPipeline,
) -> None:
    synthetic = fitted.synthetic
    tried = replace(DRAW, dry_run=True)
    first, again, other = (synthetic.sample(replace(tried, seed=seed)) for seed in (5, 5, 6))
    assert _drawn(first) == _drawn(again) != _drawn(other)
    assert (first.batch_id, first.stored) == (None, 0)
    assert len(synthetic.batches("people")) == 1
    real = [
        tuple(sorted(({**row.values, "id": None}).items(), key=str))
        for row in synthetic.rows(
            "people",
            "real",
        )
    ]
    drawn = {tuple(sorted(record.items(), key=str)) for record in _drawn(first)}
    assert not drawn & set(real)
    stored = synthetic.sample(DRAW)
    assert stored.seed not in (5, 6)
    with pytest.raises(SyntheticError, match="batch 2 holds what"):
        synthetic.sample(replace(DRAW, seed=stored.seed))
    again = synthetic.sample(replace(DRAW, seed=stored.seed, dry_run=True))
    assert _drawn(again) == _drawn(stored)
    assert synthetic.sample(replace(DRAW, seed=stored.seed, where="age > 30")).stored == 150


@SQLITE
def test_what_the_gate_refuses_leaves_its_report_and_no_record(fitted: RagPipeline) -> None:
    synthetic = fitted.synthetic
    refused = synthetic.sample(replace(DRAW, thresholds={**LOOSE, "validity": 1.1}))
    assert (refused.is_accepted, refused.stored) == (False, 0)
    assert refused.verdict.state == "refused"
    batch = synthetic.judged_batch("people")
    assert (batch.batch_id, batch.records, batch.verdict) == (refused.batch_id, 0, "refused")
    assert "validity" in batch.report["verdict"]["reasons"][0]
    assert [*synthetic.rows("people", "synthetic")] == []

    few = replace(DRAW, thresholds={**LOOSE, "fewest_records": 1000})
    unreviewed = synthetic.sample(few)
    assert (unreviewed.verdict.state, unreviewed.stored) == ("unreviewed", 0)
    assert synthetic.sample(replace(few, allow_unreviewed=True)).stored == 150
    assert synthetic.judged_batch("people").verdict == "unreviewed"
    copied = replace(few, allow_unreviewed=True, thresholds={"validity": 1.1})
    assert synthetic.sample(copied).stored == 0


@SQLITE
def test_a_generator_that_repeats_what_it_learnt_is_refused_though_copies_are_dropped(
    fitted: RagPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt = [*fitted.synthetic.rows("people", "real")][:300]
    (drawn_before, turns) = (TableRecords.drawn, itertools.count())

    def repeating(self: TableRecords, *args: Any, **kwargs: Any) -> Table:
        drawn = drawn_before(self, *args, **kwargs)
        if next(turns) == 0:
            for name in ("age", "trade", "pay"):
                drawn.values[name][:9] = [one.values[name] for one in learnt[:9]]
        return drawn

    monkeypatch.setattr(TableRecords, "drawn", repeating)
    refused = fitted.synthetic.sample(replace(DRAW, thresholds={**LOOSE, "exact_copies": 0.03}))
    assert (len(refused.drawn), refused.stored) == (150, 0)
    assert refused.copies > 0
    assert "exact_copies" in refused.report()["verdict"]["reasons"][0]


@SQLITE
@pytest.mark.parametrize(
    ("wanted", "error", "said"),
    [
        (replace(DRAW, where="age > 70 and age < 20"), SyntheticError, "contradict"),
        (replace(DRAW, where="wage > 3"), SyntheticError, "no column 'wage'"),
        (replace(DRAW, where="age >> 3"), FilterError, "at character"),
        (replace(DRAW, where="id = 'p1'"), SyntheticError, "not learnt"),
        (replace(DRAW, where="age > 200"), SyntheticError, "too few"),
        (replace(DRAW, name="nobody"), NotFoundError, "nobody"),
        (replace(DRAW, model="people@7"), NotFoundError, "people@7"),
        (replace(DRAW, model="staff@1"), SyntheticError, "learnt 'staff', not 'people'"),
        (replace(DRAW, model="words@1"), SyntheticError, "is a embedder"),
        (replace(DRAW, thresholds={"beauty": 1.0}), SyntheticError, "no threshold 'beauty'"),
        (replace(DRAW, target="id"), SyntheticError, "'id'"),
        (replace(DRAW, count=0), SyntheticError, "give 1 to"),
        (replace(DRAW, seed=-1), SyntheticError, "out of range"),
    ],
    ids=lambda one: None,
)
def test_what_cant_be_drawn_is_said_and_nothing_is_stored(
    staffed: RagPipeline, wanted: SampleWanted, error: type[Exception], said: str
) -> None:
    before = staffed.synthetic.batches("people")
    with pytest.raises(error, match=".") as raised:
        staffed.synthetic.sample(wanted)
    assert said in str(raised.value)
    assert staffed.synthetic.batches("people") == before


@pytest.fixture(scope="module")
def _staffed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RagPipeline]:
    folder = tmp_path_factory.mktemp("staffed")
    with RagPipeline.open(folder / "home", generator="echo") as rag:
        for name in ("people", "staff"):
            path = write_people(folder / f"{name}.csv")
            rag.synthetic.load(LoadWanted(name=name, path=path))
            rag.synthetic.fit(replace(FIT, name=name))
        rag.models.register("words", write_model(folder / "m"), kind="embedder")
        yield rag


@pytest.fixture
def staffed(_staffed: RagPipeline, database_url: str) -> RagPipeline:
    """Two sets that were learnt, and a model of another kind."""
    return _staffed


@SQLITE
@pytest.mark.parametrize(
    ("wanted", "error", "said"),
    [
        (replace(FIT, method="gaan"), SyntheticError, "table/autoregressive"),
        (replace(FIT, settings={"breadth": 3}), SyntheticError, "breadth"),
        (replace(FIT, settings={"width": "wide"}), SyntheticError, "another type"),
        (replace(FIT, target="wage"), TableError, "wage"),
        (replace(FIT, model="words"), SyntheticError, "versions of a embedder"),
        (replace(FIT, model="no/name"), InvalidRecordError, "no/name"),
        (replace(FIT, fitting=Fitting(seed=2**40)), SyntheticError, "out of range"),
        (replace(FIT, plot=Path("curve.txt")), TrainingError, "curve.txt"),
        (replace(FIT, link="ftp://x"), RegistryError, "no MLflow server"),
        (replace(FIT, name="nobody"), NotFoundError, "nobody"),
    ],
    ids=lambda one: None,
)
def test_what_cant_be_learnt_is_said_and_nothing_is_registered(
    staffed: RagPipeline, wanted: FitWanted, error: type[Exception], said: str
) -> None:
    before = staffed.models.list()
    with pytest.raises(error, match=".") as raised:
        staffed.synthetic.fit(wanted)
    assert said in str(raised.value)
    assert staffed.models.list() == before


@SQLITE
def test_a_version_that_cant_be_linked_is_named_and_stays(
    rag: RagPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match=r"people@1 is registered, .* publish people@1 "):
        rag.synthetic.fit(replace(FIT, link="http://127.0.0.1:9"))
    assert rag.models.show("people@1").state == "kept"


@SQLITE
def test_a_damaged_model_draws_nothing(fitted: RagPipeline) -> None:
    (model,) = fitted.synthetic.models("people")
    folder = fitted.parts.versions.folders.checked(model)
    (kept,) = fitted.synthetic.batches("people")
    damage(folder / "model.safetensors")
    # Of a model in the database the folder is but a copy.
    assert fitted.synthetic.sample(replace(DRAW, dry_run=True)).is_accepted
    fitted.synthetic.fit(replace(FIT, keep="file", fitting=Fitting(seed=3)))
    newest = fitted.synthetic.models("people")[0]
    damage(fitted.parts.versions.folders.of(newest) / "model.safetensors")
    with pytest.raises(WeightsDamagedError, match="people@2"):
        fitted.synthetic.sample(DRAW)
    forged = fitted.parts.settings.home / "forged"
    forged.mkdir()
    (forged / "model.json").write_text('{"form": 2, "method": "os.system"}')
    (forged / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    fitted.models.register(
        "people",
        forged,
        kind="synthetic",
        dataset=fitted.datasets.show("people@1"),
        parameters={**model.parameters},
    )
    with pytest.raises(ModelFileError, match="forge|names|method"):
        fitted.synthetic.sample(DRAW)
    assert fitted.synthetic.batches("people") == [kept]


@SQLITE
def test_a_model_whose_records_were_deleted_draws_no_more(
    fitted: RagPipeline, tmp_path: Path
) -> None:
    synthetic = fitted.synthetic
    other = [{**one, "id": f"q{n}"} for n, one in enumerate(people(700, seed=9))]
    (tmp_path / "more.jsonl").write_text("".join(json.dumps(one) + "\n" for one in other))
    synthetic.load(LoadWanted(name="people", path=tmp_path / "more.jsonl"))
    assert synthetic.sample(replace(DRAW, dry_run=True)).is_accepted
    assert synthetic.delete_batch("people", synthetic.batches("people")[0].batch_id).records == 700
    with pytest.raises(SyntheticError, match="has not any more"):
        synthetic.sample(DRAW)
    with pytest.raises(NotFoundError, match="no batch 77"):
        synthetic.delete_batch("people", 77)


@SQLITE
@pytest.mark.slow
def test_few_records_are_learnt_only_by_leave(rag: RagPipeline, tmp_path: Path) -> None:
    rag.synthetic.load(LoadWanted(name="few", path=write_people(tmp_path / "few.csv", 300)))
    few = replace(FIT, name="few")
    with pytest.raises(SyntheticError, match="--allow-few"):
        rag.synthetic.fit(few)
    assert rag.synthetic.fit(replace(few, allow_few=True)).records < 300


@SQLITE
@pytest.mark.slow
def test_what_was_drawn_is_learnt_only_by_leave_and_only_once(fitted: RagPipeline) -> None:
    synthetic = fitted.synthetic
    synthetic.sample(DRAW)
    again = synthetic.fit(replace(FIT, fitting=Fitting(seed=1)))
    assert again.model.parameters["depth"] == 0
    child = synthetic.fit(replace(FIT, allow_synthetic_parents=True))
    assert child.model.parameters["depth"] == 1
    assert child.records > again.records
    assert synthetic.sample(DRAW).report()["provenance"]["depth"] == 1
    with pytest.raises(SyntheticError, match="learnt synthetic ones itself"):
        synthetic.fit(replace(FIT, allow_synthetic_parents=True))


class _BrokenOffError(Exception):
    pass


def _breaking_after(steps: int) -> Callable[[Progress], None]:
    def observe(progress: Progress) -> None:
        if progress.step >= steps and progress.loss is not None:
            raise _BrokenOffError

    return observe


@SQLITE
def test_a_fit_that_was_broken_off_goes_on_and_ends_with_the_same_weights(
    rag: RagPipeline, tmp_path: Path
) -> None:
    with pytest.raises(_BrokenOffError):
        rag.synthetic.fit(FIT, observe=_breaking_after(30))
    assert rag.models.list() == []
    steps: list[int] = []
    resumed = rag.synthetic.fit(FIT, observe=lambda progress: steps.append(progress.step))
    assert steps[0] >= 10
    with RagPipeline.open(tmp_path / "other", generator="echo") as other:
        other.synthetic.load(LoadWanted(name="people", path=tmp_path / "people.csv"))
        through = other.synthetic.fit(FIT)
    assert resumed.model.weights_sha256 == through.model.weights_sha256
    assert resumed.trained == through.trained


@SQLITE
@pytest.mark.slow
def test_constraints_hold_for_all_that_is_drawn(rag: RagPipeline, tmp_path: Path) -> None:
    lines = [f"{h},{10 + h % 3},{h * (10 + h % 3)}" for h in range(1, 41)] * 20
    (tmp_path / "work.csv").write_text("\n".join(["hours,rate,pay", *lines]))
    wanted = LoadWanted(
        name="work", path=tmp_path / "work.csv", constraints=("pay = hours * rate", "rate >= 10")
    )
    assert rag.synthetic.load(wanted).as_json()["constraints"] == [*wanted.constraints]
    assert rag.synthetic.fit(replace(FIT, name="work")).method == "table/constrained"
    tried = replace(DRAW, name="work", dry_run=True, where="hours <= 20", count=60)
    drawn = rag.synthetic.sample(tried).drawn.records()
    assert all(one["pay"] == one["hours"] * one["rate"] for one in drawn)
    assert all(one["hours"] <= 20 for one in drawn)
    with pytest.raises(SyntheticError, match="wage"):
        rag.synthetic.load(
            LoadWanted(name="w2", path=tmp_path / "work.csv", constraints=("wage > 3",))
        )
    assert "w2" not in {one.name for one in rag.synthetic.sets()}


@SQLITE
def test_numbers_that_are_called_as_keys_are_pointed_out(rag: RagPipeline, tmp_path: Path) -> None:
    header = "id,customerID,order_id,paid,valid,width"
    (tmp_path / "ids.csv").write_text(
        "\n".join([header, *(f"{n},{n},{n},1,2,3" for n in range(9))])
    )
    wanted = LoadWanted(name="ids", path=tmp_path / "ids.csv", keys=("id",))
    loaded = rag.synthetic.load(wanted)
    assert loaded.maybe_keys == ("customerID", "order_id")
    assert loaded.as_json()["columns"][0] == {
        "name": "id", "kind": "category", "decimals": None, "is_key": True,
    }  # fmt: skip


@SQLITE
def test_the_same_file_is_loaded_once_and_another_schema_is_refused(
    rag: RagPipeline, tmp_path: Path
) -> None:
    again = rag.synthetic.load(LoadWanted(name="people", path=tmp_path / "people.csv"))
    assert (again.batch.was_there, again.record_set.real) == (True, 700)
    (tmp_path / "bad.csv").write_text("id,age,trade,pay\nq1,old,clerk,3\n")
    with pytest.raises(TableError, match="line 2"):
        rag.synthetic.load(LoadWanted(name="people", path=tmp_path / "bad.csv"))
    with pytest.raises(SyntheticError, match="already"):
        rag.synthetic.load(LoadWanted(name="people", path=tmp_path / "people.csv", keys=("trade",)))
    (tmp_path / "schema.json").write_text('[{"name": "age", "sort": "integer"}]')
    declared = LoadWanted(name="new", path=tmp_path / "people.csv", schema=tmp_path / "schema.json")
    with pytest.raises(TableError, match="declares no columns"):
        rag.synthetic.load(declared)
    assert [one.name for one in rag.synthetic.sets()] == ["people"]


@SQLITE
@pytest.mark.parametrize(
    "words",
    [
        "load people",
        "load people people.csv --query SELECT",
        "load people --query SELECT",
        "fit people --set width",
        "fit people --steps 3 --budget 3",
        "sample people --threshold shape_error=low",
        "sample people -n 0",
        "sample people --out people.csv --dry-run",
        "export people people.csv",
        "delete people",
        "delete people --batch 1 --model people@1 --yes",
    ],
)
def test_a_command_line_that_says_nothing_clear_is_misuse(staffed: RagPipeline, words: str) -> None:
    home = str(staffed.settings.home)
    result = CliRunner().invoke(cli, ["--home", home, "synth", *words.split()], prog_name="rag")
    assert result.exit_code == 2, result.output


@SQLITE
def test_for_others_than_the_owner_there_is_nothing(fitted: RagPipeline) -> None:
    guest = fitted.acting_for(Principal(name="guest")).synthetic
    assert guest.sets() == []
    for asked in (
        lambda: guest.get("people"),
        lambda: guest.sample(DRAW),
        lambda: guest.fit(FIT),
        lambda: guest.delete("people"),
        lambda: guest.rows("people", "both"),
        lambda: guest.load(LoadWanted(name="mine", path=Path("people.csv"))),
    ):
        with pytest.raises((RagError, NotFoundError), match="for you"):
            asked()
    assert fitted.synthetic.get("people").real == 700


@SQLITE
@pytest.mark.slow
def test_pictures_are_loaded_learnt_drawn_by_label_and_stored_as_png(
    rag: RagPipeline, tmp_path: Path
) -> None:
    known = digits()
    for number, (pixels, label) in enumerate(zip(known.pixels, known.labels, strict=True)):
        folder = tmp_path / "digits" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(png(pixels))
    loaded = rag.synthetic.load(LoadWanted(name="digits", path=tmp_path / "digits"))
    assert [one["kind"] for one in loaded.as_json()["columns"]] == ["image", "category"]
    wanted = FitWanted(name="digits", method="vae", settings={"steps": 60})
    assert rag.synthetic.fit(wanted).method == "image/vae"
    limits = {"precision": 0, "recall": 0, "fid_ratio": 1e6, "nearest_ratio": 0}
    draw = SampleWanted(name="digits", count=300, thresholds={**limits, "fewest_records": 50})
    sampled = rag.synthetic.sample(draw)
    assert sampled.stored == 300
    report = rag.synthetic.report("digits")
    assert report["pictures"]["judgement"]["features"]
    assert "data:image/png" in page(report)
    rows = [*rag.synthetic.rows("digits", "synthetic")]
    assert all(row.values["image"].startswith(b"\x89PNG") for row in rows)
    threes = rag.synthetic.sample(replace(draw, where="label = '3'", dry_run=True))
    assert {one["label"] for one in threes.drawn.records()} == {"3"}
    with pytest.raises(SyntheticError, match="one label or of all"):
        rag.synthetic.sample(replace(draw, where="label in ('3', '4')"))
    with pytest.raises(SyntheticError, match="does not learn"):
        rag.synthetic.fit(replace(wanted, method="table/vae"))


@SQLITE
def test_a_table_of_numbers_is_learnt_by_a_flow_unless_anything_is_said(
    rag: RagPipeline, tmp_path: Path
) -> None:
    path = tmp_path / "sizes.csv"
    lines = [f"{n % 97 + n / 1000},{n * n % 89}" for n in range(2_600)]
    path.write_text("\n".join(["height,width", *lines]))
    rag.synthetic.load(LoadWanted(name="sizes", path=path))
    short = FitWanted(name="sizes", settings={"steps": 5})
    assert rag.synthetic.fit(short).method == "table/flow"
    said = (replace(short, method="vae"), replace(short, settings={"steps": 5, "width": 8}))
    assert [rag.synthetic.fit(one).method for one in said] == ["table/vae", "table/autoregressive"]
