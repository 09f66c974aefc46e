"""`rag tune embedder`, with a real model of a few thousand weights, from its data to its use."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.judged import write_topics
from support.letters import letter_triples, write_triples
from support.pipelines import word_pipeline
from support.tiny_encoder import write_encoder_folder

from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.training.errors import TrainingError
from rag_pipeline.training.progress import Progress
from rag_pipeline.training.settings import TrainingSettings
from rag_pipeline.tuning.embedder import EmbedderWanted, TunedEmbedder
from rag_pipeline.tuning.encoder import EncoderSettings
from rag_pipeline.tuning.errors import ExamplesError
from rag_pipeline.tuning.triples import triples_of_history
from rag_pipeline.weights.errors import WeightsMissingError
from storage.errors import InvalidRecordError, NotFoundError, SpaceMismatchError
from storage.records import Principal

_TRAINING = TrainingSettings(epochs=4, batch_size=32, learning_rate=3e-3, validations=1)
_SETTINGS: dict[str, Any] = {"generator": "extractive", "embedding": {"runtime": "torch"}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder_folder(tmp_path_factory.mktemp("base") / "encoder")


@pytest.fixture(scope="module")
def triples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_triples(tmp_path_factory.mktemp("triples") / "triples.jsonl", 160)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, base: Path, triples: Path) -> Path:
    """A home in which an embedder was tuned, to be looked at and copied."""
    home = tmp_path_factory.mktemp("once")
    assert tuned(home, base, triples).is_activated
    return home


@pytest.fixture
def home(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once, tmp_path / "home"))


def opened(home: Path, base: Path, **settings: Any) -> RagPipeline:
    return RagPipeline.open(home, **{**_SETTINGS, "embedder": str(base), **settings})


def wanted(triples: Path | None, **changes: Any) -> EmbedderWanted:
    return EmbedderWanted(
        triples=triples,
        encoder=EncoderSettings(freezes_words=False),
        **{"training": _TRAINING, "decides": "vector", **changes},
    )


def tuned(home: Path, encoder: Path, triples: Path, **changes: Any) -> TunedEmbedder:
    with opened(home, encoder) as rag:
        return rag.tune_embedder(wanted(triples, **changes))


def registered(home: Path, base: Path) -> tuple[list[str], list[str]]:
    with opened(home, base) as rag:
        versions = rag.parts.versions
        return (
            [one.reference for one in versions.models()],
            [one.reference for one in versions.datasets()],
        )


def test_an_embedder_that_is_surely_better_becomes_the_active_version(
    once: Path, base: Path
) -> None:
    with opened(once, base) as rag:
        active = rag.parts.versions.active("embedder")
        assert active is not None
        assert active.reference == "version:embedder@1"
        assert active.datasets == (("trained_on", "embedder-triples@1"),)
        assert active.base == str(base)
        assert active.seed == 0
        assert active.metrics["held_out"]["vector"]["gain"]["low"] > 0
        assert active.metrics["compared_with"] == str(base)
        assert active.parameters["training"]["epochs"] == _TRAINING.epochs
    assert not any((once / "tuning" / "embedder").glob("*.safetensors"))


def test_a_tuned_embedder_is_used_for_a_new_collection_and_refused_for_an_old_one(
    home: Path, base: Path
) -> None:
    passages = [{"_id": row["anchor"], "text": row["positive"]} for row in letter_triples(40)]
    with opened(home, base) as rag:
        rag.ingest_records(passages, source="letters")
    with opened(home, base, embedder="version:embedder") as rag:
        with pytest.raises(SpaceMismatchError, match="ingest into another collection"):
            rag.search("a b c", mode="vector")
        with pytest.raises(SpaceMismatchError):
            rag.ingest_records(passages, source="letters")
        rag.ingest_records(passages, source="letters", collection="tuned")
        first = [
            rag.search(row["_id"], mode="vector", limit=1, collection="tuned").hits[0]
            for row in passages
        ]
        found = [hit.chunk.sources[0].external_id for hit in first]
        assert sum(one == row["_id"] for one, row in zip(found, passages, strict=True)) > 20
        collection = rag.parts.reader.collection("tuned", principal=rag.principal)
        assert collection.space is not None
        assert collection.space.model == "version:embedder@1"
    with opened(home, base) as rag:
        assert rag.search("a b c", mode="vector").hits
        with pytest.raises(SpaceMismatchError):
            rag.search("a b c", collection="tuned")


def test_a_run_that_is_not_surely_better_is_kept_and_not_activated(
    tmp_path: Path, base: Path, triples: Path
) -> None:
    tiny = replace(_TRAINING, learning_rate=1e-9, epochs=1)
    result = tuned(tmp_path, base, triples, training=tiny)
    assert not result.is_surely_better
    assert not result.is_activated
    assert result.model.state == "kept"
    with opened(tmp_path, base) as rag:
        assert rag.parts.versions.active("embedder") is None


def test_a_second_run_has_to_beat_the_version_that_stands(
    home: Path, base: Path, triples: Path
) -> None:
    short = replace(_TRAINING, epochs=1, seed=3)
    worse = tuned(home, base, triples, training=short)
    assert worse.stands == "version:embedder@1"
    assert worse.model.reference == "version:embedder@2"
    assert not worse.is_activated
    with opened(home, base) as rag:
        versions = rag.parts.versions
        versions.activate("embedder", 2)
        assert versions.rollback("embedder").version == 1
        active = versions.active("embedder")
        assert active is not None
        assert active.version == 1


@pytest.mark.slow
def test_no_activate_keeps_what_is_better_as_it_is(
    tmp_path: Path, base: Path, triples: Path, database_url: str
) -> None:
    with opened(tmp_path, base, database=database_url) as rag:
        result = rag.tune_embedder(wanted(triples, activates=False))
    assert result.is_surely_better
    assert not result.is_activated
    assert result.model.state == "kept"


@pytest.mark.slow
def test_the_same_run_again_is_the_same_version(
    home: Path, tmp_path: Path, base: Path, triples: Path
) -> None:
    again = tuned(home, base, triples)
    assert again.model.reference == "version:embedder@1"
    better = tuned(home, base, triples, base="version:embedder")
    assert better.model.base == "version:embedder@1"
    other = tuned(tmp_path / "other", base, triples, training=replace(_TRAINING, seed=1))
    assert other.model.weights_sha256 != again.model.weights_sha256


_PROGRAM = """
import sys, time
from pathlib import Path
import test_tune_embedder as t
home, base, triples = map(Path, sys.argv[1:4])
with t.opened(home, base) as rag:
    def observe(progress):
        if progress.loss is not None:
            print(progress.step, flush=True)
            time.sleep(float(sys.argv[4]))
    print(rag.tune_embedder(t.wanted(triples), observe=observe).model.weights_sha256, flush=True)
"""


def started(home: Path, base: Path, triples: Path, pause_s: float) -> "subprocess.Popen[str]":
    tests = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, home, base, triples, str(pause_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={
            "PYTHONPATH": f"{tests.parent}:{tests}:{Path(__file__).parent}",
            "PATH": "",
            "HOME": str(home),
        },
    )


@pytest.mark.slow
def test_killed_and_run_again_it_ends_with_the_same_bytes_in_any_process(
    tmp_path: Path, base: Path, triples: Path
) -> None:
    whole = tuned(tmp_path / "whole", base, triples)
    killed = started(tmp_path / "killed", base, triples, 0.2)
    assert killed.stdout is not None
    for line in killed.stdout:
        if int(line) == 7:
            break
    killed.kill()
    killed.communicate()
    assert registered(tmp_path / "killed", base) == ([], [])
    assert (tmp_path / "killed/tuning/embedder/checkpoint.safetensors").exists()
    resumed = started(tmp_path / "killed", base, triples, 0)
    output, _ = resumed.communicate(timeout=300)
    steps, digest = output.split()[:-1], output.split()[-1]
    assert digest == whole.model.weights_sha256
    assert int(steps[0]) > 1
    assert registered(tmp_path / "killed", base) == (
        ["version:embedder@1"],
        ["embedder-triples@1"],
    )


def documents(count: int = 60) -> list[dict[str, str]]:
    rows = letter_triples(3 * count, seed=4)
    return [
        {
            "_id": f"d{at}",
            "title": f"Code {rows[3 * at]['anchor']}",
            "text": f"Letter {rows[3 * at]['positive']} stands here. Then there is the word"
            f" {rows[3 * at + 1]['positive']}. In the end comes the sign"
            f" {rows[3 * at + 2]['positive']}.",
        }
        for at in range(count)
    ]


def test_documents_alone_are_enough_to_train_on(home: Path, base: Path) -> None:
    with opened(home, base, embedder="version:embedder@1") as rag:
        rag.ingest_records(documents(), source="codes")
        result = rag.tune_embedder(wanted(None, training=replace(_TRAINING, epochs=1)))
        members = rag.parts.versions.members(result.dataset.reference)
    assert result.triples > 10
    assert members is not None
    assert {member["external_id"] for member in members} == {f"d{at}" for at in range(60)}
    assert {*result.judged.by_mode} == {"vector", "hybrid"}


@pytest.mark.slow
def test_judged_questions_stop_and_judge_each_by_half(
    home: Path, tmp_path: Path, base: Path
) -> None:
    judged = tmp_path / "judged"
    judged.mkdir()
    rows = documents()
    lines = (json.dumps({"_id": f"q{at}", "text": row["title"]}) for at, row in enumerate(rows))
    (judged / "queries.jsonl").write_text("\n".join(lines))
    (judged / "qrels.tsv").write_text("\n".join(f"q{at}\td{at}\t1" for at in range(60)))
    with opened(home, base, embedder="version:embedder@1") as rag:
        rag.ingest_records(rows, source="codes")
        once = replace(_TRAINING, epochs=1)
        result = rag.tune_embedder(wanted(None, judged=judged, training=once))
        assert 20 < result.questions < 40
        (judged / "qrels.tsv").write_text("q1\tnowhere\t1")
        with pytest.raises(ExamplesError, match="judges 0 questions whose answers"):
            rag.tune_embedder(wanted(None, judged=judged, training=once))


def test_what_was_asked_and_cited_is_learnt_from(tmp_path: Path, base: Path) -> None:
    with opened(tmp_path, base) as rag:
        with pytest.raises(ExamplesError, match="of 0 exchanges none teaches anything"):
            rag.tune_embedder(wanted(None, from_history=True))
        rag.ingest_records(documents(20), source="codes")
        asked = rag.ask("Which word comes then?", extractive=True)
        with pytest.raises(ExamplesError, match=r"too few questions|none teaches anything"):
            rag.tune_embedder(wanted(None, from_history=True))
        assert rag.history.show(asked.prompt_id)
    assert registered(tmp_path, base) == ([], [])


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("", "holds no triples"),
        ("{", r":1 is no JSON"),
        ("[1]", r":1 is no object"),
        ('{"anchor": "a", "negative": "b"}', r":1 has no text under 'positive'"),
        ('{"anchor": " ", "positive": "b"}', r":1 has no text under 'anchor'"),
        ('{"anchor": "a", "positive": "b", "negative": ""}', "no text under 'negative'"),
        ('{"anchor": "a", "positive": "b", "negative": "b"}', "the same text as positive"),
        ('{"anchor": "a", "positive": "b", "negative": "c"}', "too few questions"),
    ],
)
def test_data_that_nothing_can_be_learnt_from_is_told_and_leaves_nothing(
    tmp_path: Path, base: Path, lines: str, told: str
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(lines)
    with pytest.raises(ExamplesError, match=told):
        tuned(tmp_path / "home", base, path)
    assert registered(tmp_path / "home", base) == ([], [])


def test_a_base_that_is_not_there_is_told_before_any_work(
    tmp_path: Path, base: Path, triples: Path
) -> None:
    with opened(tmp_path, base) as rag:
        with pytest.raises(WeightsMissingError, match="There is no model 'nowhere'"):
            rag.tune_embedder(wanted(triples, base="nowhere"))
        with pytest.raises(NotFoundError):
            rag.tune_embedder(wanted(triples, base="version:nobody"))
        with pytest.raises(InvalidRecordError, match="can't name versions"):
            rag.tune_embedder(wanted(triples, name="../up"))
        with pytest.raises(TrainingError, match=r"end its name in \.png or \.svg"):
            rag.tune_embedder(wanted(triples, plot=tmp_path / "p.gif"))
    assert registered(tmp_path, base) == ([], [])


def test_a_loss_that_is_no_number_registers_nothing(
    tmp_path: Path, base: Path, triples: Path
) -> None:
    wild = replace(_TRAINING, learning_rate=1e30)
    with pytest.raises(TrainingError, match="give a learning rate below"):
        tuned(tmp_path, base, triples, training=wild)
    assert registered(tmp_path, base) == ([], [])


@pytest.mark.slow
def test_two_programs_do_not_train_the_same_name_at_once(
    tmp_path: Path, base: Path, triples: Path
) -> None:
    with opened(tmp_path, base) as rag:

        def meanwhile(progress: Progress) -> None:
            if progress.step == 2:
                with pytest.raises(TrainingError, match="another program is training 'embedder'"):
                    rag.tune_embedder(wanted(triples))

        once = replace(_TRAINING, epochs=1)
        rag.tune_embedder(wanted(triples, training=once), observe=meanwhile)


def test_only_an_owner_trains(tmp_path: Path, base: Path, triples: Path) -> None:
    reader = Principal(name="ann")
    with opened(tmp_path, base) as rag, pytest.raises(NotFoundError):
        rag.acting_for(reader).tune_embedder(wanted(triples))


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_training_is_drawn(tmp_path: Path, base: Path, triples: Path, ending: str) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"loss.{ending}"
    tuned(tmp_path / "home", base, triples, plot=path, training=replace(_TRAINING, epochs=1))
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG") if ending == "png" else b"held back" in content


def test_an_exchange_teaches_what_it_cites_against_what_it_only_showed(tmp_path: Path) -> None:
    texts = {
        "tower": "The lighthouse tower was built in 1783.",
        "keeper": "The lighthouse keeper lived beside the tower.",
        "bees": "Bees sleep in winter.",
    }
    with word_pipeline(tmp_path / "home") as rag:
        rag.ingest(write_topics(tmp_path / "topics", texts))
        asked = rag.ask("When was the lighthouse tower built?", extractive=True)
        database, principal = rag.parts.database, rag.principal
        found, members = triples_of_history(database, principal=principal, min_score=None)
        (triple,) = found
        assert triple.question == "When was the lighthouse tower built?"
        assert triple.positive == texts["tower"]
        assert texts["keeper"] in triple.negatives
        assert members == [{"prompt_id": asked.prompt_id}]
        with pytest.raises(ExamplesError, match=r"of 1 exchanges .* rated 0\.7 or better"):
            triples_of_history(database, principal=principal, min_score=0.7)
        rag.history.rate(asked.prompt_id, 1.0)
        assert triples_of_history(database, principal=principal, min_score=0.7)[0] == found
