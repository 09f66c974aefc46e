"""What rules say of answers, and what is asked about."""

from datetime import UTC, datetime

import numpy as np
import pytest

from rag_pipeline.history.judges import groundedness, judges, readability, relevance
from rag_pipeline.history.topics import drift, moved, words_of
from storage.prompts.latency import RELATIVE_ERROR, bucket_of, quantile
from storage.records import ChunkId, Citation, DocumentId, PromptId, PromptRecord


def cited(start: int, end: int, quote: str = "Words.") -> Citation:
    return Citation(
        quote=quote,
        source="s",
        document_id=DocumentId(1),
        external_id="e",
        chunk_id=ChunkId(1),
        start=0,
        end=6,
        answer_start=start,
        answer_end=end,
        score=1.0,
    )


def exchange(answer: str | None, *citations: Citation, question: str = "Why?", **about):
    given = {"state": "grounded", "status": "completed", **about}
    return PromptRecord(
        prompt_id=PromptId("0"),
        parent_id=None,
        session=None,
        user="anna",
        question=question,
        answer=answer,
        error=None,
        created_at=datetime.now(UTC),
        completed_at=None,
        collection="default",
        generation=1,
        model="m",
        weights_sha256="",
        template_sha256="",
        rendered="",
        sampling={},
        citations=citations,
        **given,
    )


def test_groundedness_is_the_share_of_sentences_that_are_cited() -> None:
    answer = "It is high. It is old. ☀ It is white."
    assert groundedness(exchange(answer, cited(0, 11))) == pytest.approx(1 / 3)
    assert groundedness(exchange(answer, cited(0, 11), cited(12, 22))) == pytest.approx(2 / 3)
    assert groundedness(exchange(answer, cited(0, len(answer)))) == 1
    assert groundedness(exchange(answer)) == 0


def test_what_says_that_there_is_no_evidence_is_not_judged() -> None:
    for prompt in (exchange("The documents don't say.", state="no_evidence"), exchange(None)):
        for rule in judges():
            score = rule.score(prompt)
            assert (score.value, score.label) == (None, "not applicable")


def test_relevance_finds_the_words_of_the_question_by_their_stems() -> None:
    question = "Which lighthouses were dredged in Ravenport?"
    near = exchange("The lighthouse of Ravenport.", question=question)
    quoted = exchange("It was.", cited(0, 7, "It was dredged at Ravenport."), question=question)
    far = exchange("A barge of oak.", question=question)
    assert relevance(far) == 0
    assert 0 < relevance(near) < 1
    assert 0 < relevance(quoted) < 1
    assert relevance(exchange("Yes, it is.", question="???")) is None


def test_short_words_in_short_sentences_read_easily() -> None:
    easy = "The sea is big. The boat is red. We go out to fish."
    hard = (
        "Notwithstanding considerable administrative difficulties, representatives"
        " subsequently acknowledged comprehensive institutional responsibilities."
    )
    assert readability(exchange(easy)) == 1
    assert readability(exchange(hard)) == 0
    assert readability(exchange("Yes.")) is None
    assert readability(exchange("灯台は港の入口に立っている。" * 9)) is None


def test_words_of_a_list_are_marked_in_their_own_language_alone() -> None:
    pytest.importorskip("glin_profanity")
    toxicity = judges()[-1]
    assert toxicity.metric == "toxicity"
    rude = "You are a fucking idiot and nobody likes you here. The lamp is lit every evening."
    assert toxicity.score(exchange(rude)).value == 0.5
    german = "Das Dach über dem alten Turm ist sehr dick und hält dem Regen seit Jahren stand."
    assert toxicity.score(exchange(german)).value == 0


@pytest.mark.parametrize("seconds", [0, 1e-9, 1e-6, 0.003, 1, 59.9, 1e5])
def test_a_bucket_tells_a_duration_to_within_five_percent(seconds: float) -> None:
    about = quantile({bucket_of(seconds): 3}, 0.5)
    assert about is not None
    assert abs(about - max(seconds, 1e-6)) <= RELATIVE_ERROR * max(seconds, 1e-6) + 1e-12


def test_quantiles_of_many_durations_are_near_the_true_ones() -> None:
    times = np.random.default_rng(5).lognormal(0, 1, 5_000)
    counts: dict[int, int] = {}
    for one in times:
        counts[bucket_of(one)] = counts.get(bucket_of(one), 0) + 1
    for share in (0.01, 0.5, 0.95, 0.999):
        true = float(np.quantile(times, share, method="lower"))
        assert quantile(counts, share) == pytest.approx(true, rel=RELATIVE_ERROR + 0.01)
    assert quantile({}, 0.5) is None


def test_terms_that_did_not_move_are_not_named() -> None:
    same = ["How high is the lighthouse?", "When was it built?"] * 40
    assert moved(words_of(same), words_of(same)) == []
    assert moved(words_of(same), words_of([])) == []
    terms = moved(words_of([*same, *["My invoices?"] * 30]), words_of(same))
    assert (terms[0].term, terms[0].now, terms[0].before) == ("invoices", 30, 0)
    rare = moved(words_of([*same, "A gull?"]), words_of(same))
    assert "gull" not in {term.term for term in rare}


def test_the_means_of_two_periods_differ_only_where_they_surely_do() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(size=16)

    def some(count: int, shift: float) -> np.ndarray:
        rows = base + shift * np.eye(16)[0] * 4 + rng.normal(size=(count, 16))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    same, apart = drift(some(60, 0), some(60, 0)), drift(some(60, 1), some(60, 0))
    assert same is not None
    assert apart is not None
    assert same.p_value > 0.01
    assert apart.p_value == pytest.approx(0.001)
    assert apart.distance > same.distance
    assert drift(some(1, 0), some(60, 0)) is None
