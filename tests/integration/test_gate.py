"""What fails its gate is committed and not served, until something passes; nothing slips by."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.judged import QUERIES, TOPICS, write_judgments, write_topics
from support.pipelines import parts_of, word_pipeline

from ingest.pipeline import Observer
from ingest.sync import Outcome, SyncOptions
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.gate import Verdict, release_held
from rag_pipeline.pipeline import RagPipeline
from rag_pipeline.syncing import SyncRequest, sync, write_metrics
from storage.engine import Database
from storage.gate import held_at
from storage.lease import writer_lease
from storage.runs import Runs

SOURCE = '[[source]]\nname = "docs"\nkind = "files"\npaths = ["docs"]\nprune = true\n'
GATE = '[gate.default]\nevaluation = "judged"\nfail_if = ["mrr < baseline - 0.01"]\n'
ABSOLUTE = GATE.replace("baseline - 0.01", "0.9")
WORSE = {name: "Nothing of interest." + str(n) for n, name in enumerate(TOPICS)}


@pytest.fixture
def rag(tmp_path: Path, database_url: str) -> Iterator[RagPipeline]:
    with word_pipeline(tmp_path / "kb", database=database_url) as opened:
        write_topics(opened.settings.home / "docs")
        write_judgments(opened.settings.home / "judged")
        declare(opened, SOURCE, GATE)
        yield opened


def declare(rag: RagPipeline, *tables: str) -> None:
    (rag.settings.home / "sync.toml").write_text("\n".join(tables), "utf-8")


def change(rag: RagPipeline, texts: dict[str, str]) -> None:
    write_topics(rag.settings.home / "docs", texts)


def synced(rag: RagPipeline, **options: bool) -> tuple[list[Outcome], list[Verdict]]:
    steps = list(sync(parts_of(rag), SyncRequest(options=SyncOptions(**options))))
    outcomes = [step for step in steps if isinstance(step, Outcome)]
    return outcomes, [step for step in steps if isinstance(step, Verdict)]


def verdict(rag: RagPipeline) -> Verdict:
    outcomes, (found,) = synced(rag)
    assert {outcome.status for outcome in outcomes} == {"completed"}
    return found


def places(rag: RagPipeline) -> tuple[int, int]:
    """The generation that is served, and the one that is committed."""
    diagnosis = rag.doctor()
    assert diagnosis.differences == ()
    return diagnosis.served, diagnosis.generation


def best(rag: RagPipeline, query: str) -> str | None:
    hits = rag.search(query, limit=1, mode="keyword").hits
    return hits[0].chunk.text if hits else None


def baseline(rag: RagPipeline) -> Path:
    return rag.settings.home / "baselines/default.json"


def test_without_a_gate_nothing_is_held_and_nothing_judged(rag: RagPipeline) -> None:
    declare(rag, SOURCE)
    assert synced(rag)[1] == []
    assert held_at(parts_of(rag).database) is None
    assert places(rag) == (1, 1)
    assert not baseline(rag).exists()


def test_what_passes_is_served_and_becomes_the_baseline(rag: RagPipeline) -> None:
    found = verdict(rag)
    assert (found.status, found.generation, found.served) == ("passed", 1, 1)
    assert found.baseline is None
    assert places(rag) == (1, 1)
    assert json.loads(baseline(rag).read_text())["means"]["mrr"] == 1.0
    assert best(rag, QUERIES["bees"]) == TOPICS["bees"]
    assert synced(rag)[1] == []  # nothing changed, so there is nothing to judge
    change(rag, {"oak": "Oaks grow old."})
    assert verdict(rag).status == "passed"
    assert json.loads(baseline(rag).read_text())["generation"] == places(rag)[0]


def test_what_fails_is_not_served_until_a_fix_passes(rag: RagPipeline) -> None:
    verdict(rag)
    change(rag, WORSE)
    failed = verdict(rag)
    assert (failed.status, failed.served) == ("failed", 1)
    assert "mrr < baseline - 0.01: mrr is" in failed.failures[0]
    served, committed = places(rag)
    assert served == 1 < committed == failed.generation
    assert best(rag, QUERIES["bees"]) == TOPICS["bees"]
    assert best(rag, "interest") is None
    again = verdict(rag)  # nothing new, and still not good enough
    assert (again.status, again.generation) == ("failed", committed)
    change(rag, TOPICS | {"oak": "Oaks grow old."})
    fixed = verdict(rag)
    assert (fixed.status, fixed.served) == ("passed", fixed.generation)
    served, committed = places(rag)
    assert served == committed
    assert best(rag, "oaks") == "Oaks grow old."


def test_another_process_is_served_the_last_good_generation_too(
    rag: RagPipeline, tmp_path: Path, database_url: str
) -> None:
    verdict(rag)
    change(rag, WORSE)
    verdict(rag)
    with word_pipeline(tmp_path / "other", database=database_url) as other:
        assert best(other, QUERIES["tea"]) == TOPICS["tea"]
        assert best(other, "interest") is None


def test_an_absolute_bound_holds_back_the_very_first_load(rag: RagPipeline) -> None:
    declare(rag, SOURCE, ABSOLUTE)
    change(rag, WORSE)
    assert (verdict(rag).status, places(rag)[0]) == ("failed", 0)
    assert best(rag, "interest") is None
    change(rag, TOPICS)
    assert verdict(rag).status == "passed"
    assert best(rag, QUERIES["rye"]) == TOPICS["rye"]


def test_a_gate_that_is_declared_later_measures_what_is_served_before_it_judges(
    rag: RagPipeline,
) -> None:
    declare(rag, SOURCE)
    synced(rag)
    declare(rag, SOURCE, GATE)
    change(rag, WORSE)
    found = verdict(rag)
    assert found.status == "failed"
    assert found.baseline is not None
    assert (found.baseline.mean("mrr"), found.baseline.generation) == (1.0, 1)


@pytest.mark.parametrize("damage", ["deleted", "damaged", "other judgments"])
def test_a_baseline_that_is_of_no_use_is_measured_anew(rag: RagPipeline, damage: str) -> None:
    verdict(rag)
    if damage == "deleted":
        baseline(rag).unlink()
    elif damage == "damaged":
        baseline(rag).write_text("{")
    else:
        queries = {name: QUERIES[name] for name in ("bees", "tea")}
        write_judgments(rag.settings.home / "judged", queries)
    change(rag, WORSE)
    assert verdict(rag).status == "failed"
    change(rag, TOPICS)
    assert verdict(rag).status == "passed"


class KilledError(BaseException):
    """As a killed process: nothing of ours handles it."""


def test_a_run_that_dies_between_commit_and_verdict_leaves_the_old_generation_served(
    rag: RagPipeline,
) -> None:
    verdict(rag)
    change(rag, WORSE)
    steps = sync(parts_of(rag), SyncRequest())
    assert isinstance(next(steps), Outcome)
    served, committed = places(rag)  # committed, and not judged yet
    assert served == 1 < committed
    steps.close()  # type: ignore[attr-defined]
    assert places(rag) == (served, committed)
    assert best(rag, QUERIES["glass"]) == TOPICS["glass"]
    _, (found,) = synced(rag, due_only=True)
    assert found.status == "failed"
    assert found.generation == committed


def test_the_hold_is_in_place_before_the_first_commit(rag: RagPipeline) -> None:
    verdict(rag)
    change(rag, WORSE)
    seen: list[int | None] = []

    def look(_committed: object) -> None:
        seen.append(held_at(parts_of(rag).database))
        raise KilledError

    with pytest.raises(KilledError):
        list(sync(parts_of(rag), SyncRequest(), observer=Observer(committed=look)))
    assert seen == [1]
    assert places(rag)[0] == 1
    assert synced(rag)[1][0].status == "failed"


def test_a_hold_that_held_nothing_is_taken_back_without_judging(rag: RagPipeline) -> None:
    verdict(rag)
    (rag.settings.home / "docs").rename(rag.settings.home / "away")
    (outcome,), verdicts = synced(rag)
    assert (outcome.status, verdicts) == ("failed", [])
    assert held_at(parts_of(rag).database) is None


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_gate_that_can_not_judge_is_an_error_before_anything_is_ingested(
    rag: RagPipeline, dry_run: bool
) -> None:
    declare(rag, SOURCE, GATE.replace("judged", "nowhere"))
    with pytest.raises(EvaluationError, match="gate of collection 'default'"):
        synced(rag, dry_run=dry_run)
    assert Runs(parts_of(rag).database).latest() == []


def test_a_dry_run_judges_nothing(rag: RagPipeline) -> None:
    assert synced(rag, dry_run=True)[1] == []
    assert places(rag) == (0, 0)


def test_where_another_writer_is_at_work_the_verdict_is_left_to_the_next_sync(
    rag: RagPipeline, database_url: str
) -> None:
    verdict(rag)
    change(rag, WORSE)
    steps = sync(parts_of(rag), SyncRequest())
    next(steps)
    other = Database(database_url)
    with writer_lease(other):
        (busy,) = steps
    other.close()
    assert isinstance(busy, Verdict)
    assert (busy.status, busy.served) == ("busy", 1)
    assert verdict(rag).status == "failed"


def test_all_collections_must_pass_before_any_is_served(rag: RagPipeline) -> None:
    second = SOURCE.replace('"docs"', '"more"').replace("prune", 'collection = "more"\nprune')
    write_topics(rag.settings.home / "more")
    both = GATE, GATE.replace("default", "more")
    declare(rag, SOURCE, second, *both)
    assert [one.status for one in synced(rag)[1]] == ["passed", "passed"]
    first = places(rag)[0]
    write_topics(rag.settings.home / "more", WORSE)
    change(rag, {"oak": "Oaks grow old."})
    found = {one.collection: one.status for one in synced(rag)[1]}
    assert found == {"default": "passed", "more": "failed"}
    assert places(rag)[0] == first
    assert best(rag, "oaks") is None


def test_what_is_released_by_hand_is_served_and_is_what_the_next_is_compared_with(
    rag: RagPipeline,
) -> None:
    verdict(rag)
    change(rag, WORSE)
    committed = verdict(rag).generation
    assert release_held(parts_of(rag), wait=False) == (1, committed)
    assert places(rag) == (committed, committed)
    change(rag, {"bees": TOPICS["bees"]})
    found = verdict(rag)
    assert found.baseline is not None
    assert (found.status, found.baseline.generation) == ("passed", committed)


def test_a_gate_that_is_taken_away_does_not_let_what_it_holds_slip_by(rag: RagPipeline) -> None:
    verdict(rag)
    change(rag, WORSE)
    verdict(rag)
    declare(rag, SOURCE)
    assert synced(rag)[1] == []
    assert places(rag)[0] == 1


def test_documents_that_come_by_hand_while_a_gate_holds_are_judged_with_the_rest(
    rag: RagPipeline, tmp_path: Path
) -> None:
    verdict(rag)
    change(rag, WORSE)
    verdict(rag)
    (tmp_path / "oak.txt").write_text("Oaks grow old.")
    rag.ingest(tmp_path / "oak.txt")
    assert best(rag, "oaks") is None
    change(rag, TOPICS)
    assert verdict(rag).status == "passed"
    assert best(rag, "oaks") == "Oaks grow old."


def test_the_metrics_tell_what_is_served_from_what_is_committed(
    rag: RagPipeline, tmp_path: Path
) -> None:
    path = tmp_path / "rag.prom"
    write_metrics(parts_of(rag), path)
    assert "rag_gate" not in path.read_text()
    verdict(rag)
    change(rag, WORSE)
    write_metrics(parts_of(rag), path, [verdict(rag)])
    text = path.read_text()
    assert "rag_served_generation 1\n" in text
    assert 'rag_gate_passed{collection="default"} 0\n' in text
    assert 'rag_gate_baseline{collection="default",metric="mrr"} 1.0\n' in text
    change(rag, TOPICS)
    verdict(rag)
    write_metrics(parts_of(rag), path)
    assert 'rag_gate_passed{collection="default"} 1\n' in path.read_text()
