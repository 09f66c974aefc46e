"""Every figure is the one that trec_eval gives, whatever was judged and ranked."""

import math

import pytrec_eval
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rag_pipeline.evaluation.judgments import Qrels
from rag_pipeline.evaluation.measures import Measure, ordered
from rag_pipeline.evaluation.record import figures

CUTOFFS = (1, 3, 10, 100)
TREC_NAME = {"ndcg": "ndcg_cut_{}", "map": "map_cut_{}", "recall": "recall_{}", "p": "P_{}"}
WHOLE = {"ndcg": "ndcg", "map": "map", "mrr": "recip_rank"}
MEASURES = [Measure(kind, k) for kind in TREC_NAME for k in CUTOFFS] + [*map(Measure, WHOLE)]

documents = st.sampled_from([f"d{n}" for n in range(30)] + ["é", "e", "Z", "灯台", "-1"])
grades = st.dictionaries(documents, st.integers(-2, 4), min_size=1, max_size=20)
# Some of them are equal, some only as float32.
scores = st.one_of(
    st.sampled_from([0.0, 0.5, 0.5 + 1e-9, 0.5 - 1e-9, 1e30, -1.0]),
    st.floats(-100, 100, allow_nan=False),
)
rankings = st.dictionaries(documents, scores, max_size=30)


def trec_name(measure: Measure) -> str:
    if measure.cutoff is None:
        return WHOLE[measure.kind]
    return TREC_NAME[measure.kind].format(measure.cutoff)


def by_trec_eval(qrels: Qrels, run: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Asked with 0 in the place of negative grades, which count alike: it writes outside its own
    arrays for those, and may crash."""
    cuts = ",".join(map(str, CUTOFFS))
    wanted = {*WHOLE.values(), *(name.replace("_{}", f".{cuts}") for name in TREC_NAME.values())}
    judged = {
        query: {doc: max(grade, 0) for doc, grade in grades.items()}
        for query, grades in qrels.items()
    }
    found: dict[str, dict[str, float]] = pytrec_eval.RelevanceEvaluator(judged, wanted).evaluate(
        run
    )
    return found


def assert_equal_to_trec_eval(qrels: Qrels, run: dict[str, dict[str, float]]) -> None:
    expected = by_trec_eval(qrels, run)
    ranked = {query: ordered(scores) for query, scores in run.items()}
    found = figures(ranked, qrels, MEASURES)
    assert found.keys() == qrels.keys()
    for query, figures_of in found.items():
        for measure in MEASURES:
            theirs = expected[query][trec_name(measure)]
            assert math.isclose(figures_of[measure.name], theirs, abs_tol=1e-6), (
                query,
                measure.name,
            )


@settings(max_examples=300)
@given(st.lists(st.tuples(grades, rankings), min_size=1, max_size=4))
@example([({"a": 0}, {"a": 1.0}), ({"a": -1}, {}), ({"a": 1, "b": -2}, {"b": 2.0, "a": 1.0})])
@example([({"a": 2, "b": 1}, {"c": 3.0, "x": 2.0, "a": 1.0, "b": 1.0 + 1e-9})])
def test_figures_are_those_of_trec_eval(given_queries) -> None:
    named = {f"q{n}": one for n, one in enumerate(given_queries)}
    qrels = {query: judged for query, (judged, _) in named.items()}
    run = {query: ranked for query, (_, ranked) in named.items()}
    assert_equal_to_trec_eval(qrels, run)


def test_a_large_run_with_many_ties_too() -> None:
    import random

    rng = random.Random(5)
    names = [f"doc{n}" for n in range(3000)]
    qrels = {
        f"q{n}": {d: rng.choice([-1, 0, 1, 2, 3]) for d in rng.sample(names, 150)}
        for n in range(20)
    }
    run = {query: {d: round(rng.random(), 2) for d in rng.sample(names, 1000)} for query in qrels}
    assert_equal_to_trec_eval(qrels, run)


@given(st.dictionaries(documents, scores, max_size=30), grades, st.integers(1, 40))
def test_figures_lie_between_0_and_1_and_more_is_never_less_recall(ranked, judged, k) -> None:
    ranking = ordered(ranked)
    for measure in MEASURES:
        assert 0 <= measure.of(ranking, judged) <= 1 + 1e-12
    assert Measure("recall", k).of(ranking, judged) <= Measure("recall", k + 1).of(ranking, judged)


@given(grades)
def test_the_best_order_there_is_has_an_ndcg_of_1(judged) -> None:
    best = sorted(judged, key=lambda doc: -judged[doc])
    expected = 1.0 if any(grade > 0 for grade in judged.values()) else 0.0
    assert math.isclose(Measure("ndcg", 10).of(best, judged), expected)
