"""`rag eval` and the gate of `rag sync` as cron and people run them."""

import json
from pathlib import Path

import pytest
from support.cli import Program, assert_one_line_error
from support.judged import (
    QUERIES,
    TOPICS,
    judge_mirrored,
    judge_notes,
    write_judgments,
    write_mirrored,
    write_topics,
)

SYNC = (
    '[[source]]\nname = "docs"\nkind = "files"\npaths = ["docs"]\nprune = true\n'
    '[gate.default]\nevaluation = "judged"\nfail_if = ["ndcg@10 < baseline - 0.01"]\n'
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """A home that holds the topics, and beside it what judges them."""
    folder = tmp_path_factory.mktemp("judged")
    rag = Program(cwd=folder, home=folder / "home")
    write_topics(rag.home / "docs")
    write_judgments(folder / "judged", QUERIES | {"oak": "How old do oaks grow?"})
    assert rag("ingest", rag.home / "docs").status == 0
    return rag


def evaluate(rag: Program, *arguments: str | Path, mode: str = "keyword") -> list[str | Path]:
    """The words of an evaluation that loads no model."""
    return ["eval", "retrieval", "judged", "--mode", mode, *arguments]


def test_an_evaluation_is_one_document_with_every_figure(judged: Program) -> None:
    said = judged(*evaluate(judged), "--json").json
    assert said["generation"] == 1
    assert said["queries"]["judged"] == len(QUERIES) + 1
    assert said["queries"]["with_absent_documents"] == {"oak": ["oak.txt"]}
    mrr = said["metrics"]["mrr"]
    assert mrr["low"] <= mrr["mean"] <= mrr["high"] <= 1
    assert mrr["mean"] > 0.8
    assert said["settings"]["mode"] == "keyword"


def test_people_are_told_the_same_and_what_can_not_be_found(judged: Program) -> None:
    done = judged(*evaluate(judged, "--metrics", "mrr,p@3"))
    assert done.status == 0, done.err
    heading, columns, first, second, *notes = done.out.splitlines()
    assert heading == "default, generation 1: 7 queries, keyword, 100 documents each"
    assert columns.split() == ["metric", "mean", "95", "%"]
    assert (first.split()[0], second.split()[0]) == ("mrr", "p@3")
    assert any("does not hold: oak" in note for note in notes)


def test_a_run_that_search_wrote_is_judged_as_the_search_itself(judged: Program) -> None:
    run = judged.cwd / "run.txt"
    queries = judged.cwd / "judged/queries.jsonl"
    search = ("search", "--queries", queries, "--run-file", run, "-k", "100", "--mode", "keyword")
    assert judged(*search).status == 0
    by_search = judged(*evaluate(judged), "--json").json["metrics"]
    by_run = judged.bare("eval", "retrieval", "judged", "--run", run, "--json").json
    assert by_run["metrics"] == by_search
    assert by_run["generation"] is None


def test_a_baseline_is_compared_with_and_a_condition_decides_the_exit_status(
    judged: Program, tmp_path: Path
) -> None:
    saved, figures, plot = (tmp_path / name for name in ("a.json", "q.jsonl", "plot.svg"))
    first = judged(*evaluate(judged, "--save", saved, "--per-query", figures, "--plot", plot))
    assert first.status == 0, first.err
    lines = [json.loads(line) for line in figures.read_text().splitlines()]
    assert {line["_id"] for line in lines} == {*QUERIES, "oak"}
    assert plot.stat().st_size > 1000
    before = json.loads(saved.read_text())
    before["queries"]["oak"]["ndcg@10"] = 1.0
    saved.write_text(json.dumps(before))
    same = evaluate(judged, "--baseline", saved, "--fail-if", "ndcg@10 < baseline - 0.01")
    worse = judged(*same, "--fail-if", "p@1 > 2", "--fail-if", "map < 0.99", "--json")
    assert worse.status == 1
    said = json.loads(worse.out)
    assert len(said["failures"]) == 2
    assert said["metrics"]["ndcg@10"]["losses"] == 1
    assert said["metrics"]["p@1"]["mean"] > 0  # a condition speaks of it
    assert said["changed_most"]["ndcg@10"][0]["_id"] == "oak"
    assert "ndcg@10 < baseline - 0.01: ndcg@10 is" in worse.err
    assert worse.err.count("failed: ") == 2
    told = judged(*evaluate(judged, "--baseline", saved, "--fail-if", "map < baseline"))
    assert told.status == 0, told.err
    assert "changed most by ndcg@10: oak 1.000 to 0.000" in told.out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--fail-if", "ndcg@10 < baseline"), 2, "--baseline"),
        (("--plot", "plot.pdf"), 1, ".png or .svg"),
        (("--where", "year >="), 1, "filter"),
    ],
)
def test_what_can_not_be_evaluated_is_one_clear_line(
    judged: Program, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = judged(*evaluate(judged, *arguments))
    assert done.status == status
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_sync_that_fails_its_gate_exits_with_1_and_a_fix_with_0(rag: Program) -> None:
    write_topics(rag.home / "docs")
    write_judgments(rag.home / "judged")
    (rag.home / "sync.toml").write_text(SYNC)
    first = rag("sync")
    assert (first.status, first.err) == (0, "")
    assert "gate default: passed: ndcg@10 1.0000" in first.out
    write_topics(rag.home / "docs", dict.fromkeys(TOPICS, "Nothing of interest."))
    worse = rag("sync", "--json")
    assert worse.status == 1
    assert "generation 2 is held back, and 1 is served" in worse.err
    (gate,) = json.loads(worse.out)["gates"]
    assert (gate["status"], gate["served"], gate["generation"]) == ("failed", 1, 2)
    assert gate["metrics"]["ndcg@10"] < gate["baseline"]["ndcg@10"] == 1.0
    told = rag("sync")
    assert told.status == 1
    assert "gate default: failed: ndcg@10 < baseline - 0.01" in told.err
    assert "(was 1.0000)" in told.out
    doctor = rag("doctor")
    assert doctor.status == 0
    assert "generation 2 (serving 1)" in doctor.out
    write_topics(rag.home / "docs")
    assert rag("sync", "--json").json["gates"][0]["status"] == "passed"
    assert rag("sync", "--release").out.startswith("nothing is held back")


def test_a_sync_that_is_killed_before_its_verdict_leaves_the_old_generation_served(
    rag: Program,
) -> None:
    write_topics(rag.home / "docs")
    write_judgments(rag.home / "judged")
    (rag.home / "sync.toml").write_text(SYNC)
    assert rag("sync").status == 0
    write_topics(rag.home / "docs", dict.fromkeys(TOPICS, "Nothing of interest."))
    killed = rag.started("--home", rag.home, "sync", "--progress", "jsonl")
    assert killed.stderr is not None
    assert json.loads(killed.stderr.readline())["event"] == "committed"
    killed.kill()
    killed.communicate()
    doctor = rag("doctor", "--json").json
    assert (doctor["served"], doctor["generation"]) == (1, 2)
    (gate,) = json.loads(rag("sync", "--json").out)["gates"]
    assert (gate["status"], gate["served"]) == ("failed", 1)
    assert rag("sync", "--release").out == "generation 2 is served from now on, instead of 1\n"


def test_tuning_says_what_it_takes_and_can_be_taken_back(judged: Program) -> None:
    assert_one_line_error(judged("eval", "tune", "judged"), "too few")
    assert judged("eval", "tune").status == 2
    assert judged("eval", "tune", "--reset").out == "nothing was fitted\n"


def test_tuning_tells_both_stages_and_what_stays_from_earlier(rag: Program) -> None:
    assert rag("ingest", write_mirrored(rag.home / "docs"), "-c", "words").status == 0
    mirrored, notes = judge_mirrored(rag.home / "mirrored"), judge_notes(rag.home / "notes")
    tried = rag("eval", "tune", mirrored, "-c", "words", "--dry-run", "--json").json
    assert (tried["stored"], tried["kept"], tried["queries"]) == (False, None, 24)
    assert tried["reranker"]["gain"]["low"] > 0
    assert set(tried["fitted"]) >= {"linear_reranker"} == set(tried["reranker"]["fitted"])
    done = rag("eval", "tune", mirrored, "-c", "words").out.splitlines()
    assert done[0] == "words, ndcg@10 of 24 queries, each held out from the fit:"
    assert done[1].startswith("  fusion:   0.")
    assert f"to {tried['reranker']['after']:.4f}, gain +0." in done[2]
    assert done[-1].startswith("fitted: {")
    assert done[-1].endswith("; stored with the collection")
    assert "\n   rerank " in rag("search", "bak", "-c", "words", "--explain").out
    later = rag("eval", "tune", notes, "-c", "words").out.splitlines()
    assert later[-2] == "no gain is sure: nothing is stored"
    assert later[-1] == (
        f"what was fitted earlier stays: {', '.join(tried['fitted'])};"
        " rag eval tune --reset -c words removes it"
    )
    assert rag("eval", "tune", "--reset", "-c", "words").out == "what was fitted is forgotten\n"
