"""Saved evaluations, comparisons with them, conditions on them, and their picture."""

import json
import math
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.evaluation.comparison import compare, intervals
from rag_pipeline.evaluation.criteria import Criterion, all_measures, failures
from rag_pipeline.evaluation.errors import EvaluationError
from rag_pipeline.evaluation.measures import DEFAULT_MEASURES, Measure, parse_measures
from rag_pipeline.evaluation.plot import check_plot, plot
from rag_pipeline.evaluation.record import Evaluation, read_evaluation
from rag_pipeline.evaluation.report import Ranked, Report, evaluated, report
from rag_pipeline.evaluation.trec import read_run


def evaluation(figures: Mapping[str, float], name: str = "ndcg@10", k: int = 100) -> Evaluation:
    return Evaluation(
        settings={"collection": "default", "k": k},
        judgments_sha256="0" * 64,
        queries={query: {name: value} for query, value in figures.items()},
        generation=3,
        space={"model": "words"},
    )


def many(count: int, seed: int = 1, shift: float = 0.0) -> dict[str, float]:
    rng = random.Random(seed)
    return {f"q{n}": min(1.0, max(0.0, rng.random() + shift)) for n in range(count)}


def test_a_saved_evaluation_is_the_same_when_it_is_read(tmp_path: Path) -> None:
    found = evaluation({"q1": 0.1 + 0.2, "q 2": 1.0, "灯台": 0.0})
    found.saved(tmp_path / "new/run.json")
    assert read_evaluation(tmp_path / "new/run.json") == found
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"format": "rag-evaluation-1"}',
        '{"format": "other", "settings": {}, "judgments_sha256": "", "queries": {"q": {"map": 1}}}',
        '{"format": "rag-evaluation-1", "settings": {}, "judgments_sha256": "", "queries": {}}',
        '{"format": "rag-evaluation-1", "settings": {}, "judgments_sha256": "",'
        ' "queries": {"q": {"map": 1}, "r": {}}}',
        '{"format": "rag-evaluation-1", "settings": {}, "judgments_sha256": "",'
        ' "queries": {"q": {"map": NaN}}}',
        '{"format": "rag-evaluation-1", "settings": {}, "judgments_sha256": "",'
        ' "queries": {"q": {"map": "1"}}}',
    ],
)
def test_a_file_that_is_no_saved_evaluation_is_one_clear_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(EvaluationError, match=r"run\.json is no saved evaluation") as raised:
        read_evaluation(path)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_or_can_not_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="nothing.json can't be read"):
        read_evaluation(tmp_path / "nothing.json")
    (tmp_path / "file").touch()
    with pytest.raises(EvaluationError, match="name another file"):
        evaluation({"q": 1.0}).saved(tmp_path / "file/run.json")


def test_the_same_seed_gives_the_same_interval_and_it_holds_the_mean() -> None:
    found = evaluation(many(50))
    (one,), (again,) = intervals(found).values(), intervals(found).values()
    assert one == again
    assert one.low < one.mean < one.high
    assert one.mean == found.mean("ndcg@10")
    assert intervals(found, seed=7)["ndcg@10"].low != one.low


def test_the_interval_is_that_of_the_normal_where_queries_are_many() -> None:
    values = np.array([*many(2000).values()])
    found = intervals(evaluation(many(2000)))["ndcg@10"]
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert math.isclose(found.high - found.mean, half, rel_tol=0.05)
    assert math.isclose(found.mean - found.low, half, rel_tol=0.05)


def test_a_single_query_has_an_interval_of_no_width() -> None:
    found = intervals(evaluation({"q": 0.25}))["ndcg@10"]
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)


def test_a_comparison_is_paired_counts_who_won_and_names_what_changed_most() -> None:
    before = evaluation({"a": 0.5, "b": 0.5, "c": 1.0, "d": 0.0, "only then": 0.9})
    now = evaluation({"a": 0.6, "b": 0.5 + 1e-12, "c": 0.2, "d": 0.05, "only now": 0.9})
    found = compare(now, before)
    compared = found.by_measure["ndcg@10"]
    assert (compared.wins, compared.losses, compared.ties) == (2, 1, 1)
    assert math.isclose(compared.baseline, 0.5)
    assert math.isclose(compared.difference.mean, -0.1625)
    assert compared.difference.low <= -0.1625 <= compared.difference.high
    assert [one.query for one in found.changes["ndcg@10"]] == ["c", "a", "d"]
    assert found.left_out == 2


def test_pairing_sees_a_small_gain_on_queries_that_differ_much() -> None:
    before = many(300)
    better = {query: min(1.0, value + 0.01) for query, value in before.items()}
    found = compare(evaluation(better), evaluation(before)).by_measure["ndcg@10"].difference
    assert found.low > 0
    alone = intervals(evaluation(better))["ndcg@10"]
    assert alone.low < found.mean + evaluation(before).mean("ndcg@10") - 0.01 < alone.high


def test_what_does_not_belong_together_is_not_compared() -> None:
    now = evaluation({"q": 1.0})
    for other, said in [
        (evaluation({"r": 1.0}), "none of these queries"),
        (evaluation({"q": 1.0}, name="map"), "none of these metrics"),
        (evaluation({"q": 1.0}, k=10), "same -k"),
    ]:
        with pytest.raises(EvaluationError, match=said):
            compare(now, other)


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("ndcg@10 < 0.5", False),
        ("ndcg@10 < 0.51", True),
        ("ndcg@10 <= 0.5", True),
        ("ndcg@10 > .4", True),
        ("nDCG@10>=5e-1", True),
        ("  ndcg@10   <baseline", True),
        ("ndcg@10 < baseline - 0.1", True),
        ("ndcg@10 < baseline - 0.2", False),
        ("ndcg@10 < baseline-0.2001", False),
        ("ndcg@10 < Baseline + 0.1", True),
        ("ndcg@10 > baseline", False),
    ],
)
def test_a_condition_is_a_metric_a_comparison_and_a_bound(text: str, fails: bool) -> None:
    now, before = evaluation({"a": 0.4, "b": 0.6}), evaluation({"a": 0.6, "b": 0.75})
    said = failures([Criterion.parse(text)], now, compare(now, before))
    assert bool(said) == fails
    if said:
        assert " ".join(text.split()) in said[0]
        assert "0.5" in said[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ndcg@10",
        "ndcg@10 < ",
        "ndcg@10 == 0.5",
        "ndcg@10 < -0.5",
        "ndcg@10 < baseline * 2",
        "ndcg@10 < baseline - -0.1",
        "ndcg@10 < baseline - 0.1 - 0.1",
        "ndcg@10 < 0.5 or map < 0.1",
        "0.5 > ndcg@10",
        "ndcg@0 < 0.5",
        "ndcg@999999 < 0.5",
        "recall < 0.5",
        "f1@10 < 0.5",
        "ndcg@10 < nan",
        "ndcg@10 < 1e999",
        "__import__('os').system('true') < 1",
        "ndcg@10 < 0.5\nmap < 0.5",
        "ndcg@10 < " + "9" * 100_000,
        "ndcg@１0 < ٣",
    ],
)
def test_anything_else_is_no_condition(text: str) -> None:
    with pytest.raises(EvaluationError):
        Criterion.parse(text)


@given(st.text(max_size=60))
def test_no_text_makes_a_condition_fail_otherwise_than_clearly(text: str) -> None:
    with suppress(EvaluationError):
        Criterion.parse(text)


def test_a_condition_on_a_baseline_that_is_not_there_is_not_met() -> None:
    assert failures([Criterion.parse("ndcg@10 < baseline + 9")], evaluation({"q": 0.0}), None) == []


def test_a_baseline_without_the_metric_of_a_condition_is_said_so() -> None:
    both = evaluation({"q": 1.0})
    now = replace(both, queries={"q": {"ndcg@10": 1.0, "map": 1.0}})
    with pytest.raises(EvaluationError, match="no map"):
        failures([Criterion.parse("map < baseline")], now, compare(now, both))


def test_metrics_are_named_in_any_case_and_each_is_measured_once() -> None:
    assert [one.name for one in parse_measures("nDCG@10, P@5,map,MRR,p@5,Recall@7")] == [
        "ndcg@10",
        "p@5",
        "map",
        "mrr",
        "recall@7",
    ]
    wanted = all_measures(parse_measures("map"), [Criterion.parse("p@3 < 1")])
    assert wanted == (Measure("map"), Measure("p", 3))
    for wrong in ("", "ndcg@", "recall", "ndcg@-1", "map,,mrr", "ndcg@1.5", "ndcg@10;map"):
        with pytest.raises(EvaluationError, match="is no metric"):
            parse_measures(wrong)


def reported(baseline: Evaluation | None = None, **found: Any) -> Report:
    qrels = {"a": {"1": 1}, "b": {"2": 1, "3": 2}, "c": {"4": 0}, "d": {"5": 1}}
    ranked = Ranked(rankings={"a": ["1"], "b": ["9", "2"], "c": ["4"]}, generation=7)
    made = evaluated(ranked, "x", qrels, DEFAULT_MEASURES, settings={"k": 100, "collection": "c"})
    return report(made, ranked, qrels, held=frozenset({"1", "2"}), baseline=baseline, **found)


def test_a_report_says_what_it_could_not_know() -> None:
    said = reported().as_json()
    assert said["queries"] == {
        "judged": 4,
        "without_hits": ["d"],
        "without_relevant": ["c"],
        "with_absent_documents": {"b": ["3"], "d": ["5"]},
    }
    assert said["metrics"]["mrr"]["mean"] == (1 + 0.5 + 0 + 0) / 4
    json.dumps(said, allow_nan=False)


def test_only_as_many_documents_count_as_were_asked_for() -> None:
    ranked = Ranked(rankings={"q": ["x", "y", "z"]})
    found = evaluated(ranked, "x", {"q": {"z": 1}}, [Measure("mrr")], settings={"k": 2})
    assert found.mean("mrr") == 0.0


@pytest.mark.parametrize("suffix", [".png", ".svg", ".PNG"])
def test_the_picture_is_of_its_kind_and_always_the_same(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    before = reported().evaluation
    files = [tmp_path / f"{n}{suffix}" for n in range(2)]
    for path in files:
        plot(reported(before), path)
    start = files[0].read_bytes()[:8]
    assert start == b"\x89PNG\r\n\x1a\n" if suffix.lower() == ".png" else start == b"<?xml ve"
    assert files[0].read_bytes() == files[1].read_bytes()
    plot(reported(), files[0])
    if suffix == ".svg":
        assert "baseline" in files[1].read_text()
        assert "baseline" not in files[0].read_text()


def test_a_picture_that_can_not_be_made_is_said_before_the_work(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("plot.pdf", "plot", "plot.png.txt"):
        with pytest.raises(EvaluationError, match=r"\.png or \.svg"):
            check_plot(tmp_path / name)
    with pytest.raises(EvaluationError, match="name another file"):
        plot(reported(), tmp_path / "no/plot.png")


def test_a_run_file_is_read_by_its_scores(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    path.write_text("q1 Q0 a 1 0.5 t\nq1\tQ0\tb\t2\t7e-1\tt\r\n\nq2 Q0 a 1 -3 t\n")
    assert read_run(path) == {"q1": {"a": 0.5, "b": 0.7}, "q2": {"a": -3.0}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("q1 Q0 a 1 0.5\n", "run.txt:1"),
        ("q1 Q0 a 1 0.5 t t\n", "run.txt:1"),
        ("q1 Q0 a 1 0.5 t\nq1 Q0 b 1 nan t\n", "run.txt:2"),
        ("q1 Q0 a 1 x t\n", "run.txt:1"),
        ("q1 Q0 a 1 0.5 t\nq1 Q0 a 2 0.4 t\n", "a second time"),
        ("\n", "ranks nothing"),
    ],
)
def test_a_bad_line_of_a_run_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "run.txt"
    path.write_text(text)
    with pytest.raises(EvaluationError, match=said):
        read_run(path)
