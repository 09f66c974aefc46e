"""What an embedder learns from: questions made of documents, what is hard, and what is held out."""

import random
from pathlib import Path

import numpy as np
import pytest
from support.embedding import WordEmbedder
from support.letters import letter_triples, write_triples

from rag_pipeline.tuning.data import LEAST_QUESTIONS, divided, limited
from rag_pipeline.tuning.errors import ExamplesError
from rag_pipeline.tuning.examples import Kinship, Triple, groups
from rag_pipeline.tuning.mining import Found, mined
from rag_pipeline.tuning.pseudo_queries import PseudoQuery, SourceText, pseudo_queries
from rag_pipeline.tuning.ranking import RankingSet
from rag_pipeline.tuning.triples import joined, read_triples, sha256_of_triples

_TEXT = (
    "The keeper of the lighthouse lit the lamp at dusk. Oil for it was brought by boat each week."
    " In winter storms the boat did not come and candles had to do."
)


def passage(document: str = "d", title: str = "The keeper of Eddystone light") -> SourceText:
    return SourceText(document=document, title=title, text=_TEXT)


def many_triples(count: int = 120) -> list[Triple]:
    return joined(
        (row["anchor"], row["positive"], row["negative"]) for row in letter_triples(count)
    )


def test_a_sentence_is_asked_for_in_its_passage_without_it() -> None:
    made = [
        query
        for seed in range(40)
        for query in pseudo_queries([passage()], kinds=["sentence"], seed=seed)
    ]
    taken_out = [one for one in made if one.question not in one.positive]
    assert {one.question for one in made} == {
        "The keeper of the lighthouse lit the lamp at dusk.",
        "Oil for it was brought by boat each week.",
        "In winter storms the boat did not come and candles had to do.",
    }
    assert 30 <= len(taken_out) < 40
    rest = {*_TEXT.split()}
    assert all({*one.positive.split()} <= rest | {*passage().title.split()} for one in made)


def test_a_title_is_asked_for_once_and_stands_in_no_answer() -> None:
    texts = [passage(), passage(), passage("other", title="Two words")]
    (made,) = pseudo_queries(texts, kinds=["title"], seed=0)
    assert made.question == "The keeper of Eddystone light"
    assert made.question not in made.positive


def test_telling_words_are_those_that_other_passages_lack() -> None:
    others = [
        SourceText(document=f"o{at}", title="", text=f"the boat and the lamp number {word} alone")
        for at, word in enumerate(["red", "green", "blue", "brown", "black", "white"])
    ]
    (made,) = (
        one
        for one in pseudo_queries([passage(), *others], kinds=["terms"], seed=0)
        if one.document == "d"
    )
    words = made.question.split()
    assert len(words) == 6
    assert not {"the", "boat", "lamp", "and"} & {*words}
    assert words == [
        word for word in dict.fromkeys(_TEXT.lower().replace(".", "").split()) if word in words
    ]


def test_what_is_drawn_for_a_passage_does_not_depend_on_the_others() -> None:
    alone = list(pseudo_queries([passage()], kinds=["sentence"], seed=3))
    beside = list(pseudo_queries([passage("x"), passage()], kinds=["sentence"], seed=3))
    assert alone[0] == beside[-1]


@pytest.mark.parametrize("text", ["", "One.", "a b c", "word " * 5000, "¿? ¡!", "日本語の文。"])
def test_texts_that_nothing_can_be_asked_of_are_passed_over(text: str) -> None:
    source = SourceText(document="d", title="", text=text)
    assert all(query.question for query in pseudo_queries([source], seed=0))


def test_hard_negatives_are_other_texts_that_are_less_near_than_the_answer() -> None:
    query = PseudoQuery(
        kind="sentence",
        question="red boat on the lake",
        positive="the red boat lies on the lake",
        document="own",
    )
    found = [
        Found("own", "red boat on the lake again"),
        Found("copy", "red boat on the lake"),
        Found("far", "a green boat in the harbour"),
        Found("farther", "nothing of the kind"),
    ]
    (triple,) = mined(
        [query],
        search=lambda questions: [found for _ in questions],
        embed=WordEmbedder().embed,
        negatives=1,
    )
    assert triple.negatives == ("a green boat in the harbour",)
    none = mined(
        [query],
        search=lambda questions: [found[:2] for _ in questions],
        embed=WordEmbedder().embed,
        negatives=1,
    )
    assert none == []


def test_what_answers_a_question_elsewhere_is_no_negative_of_it() -> None:
    rows = [("q", "one", "two"), ("q", "two", "three"), ("q", "two", "one"), ("r", "two", None)]
    assert joined(rows) == [
        Triple(question="q", positive="one", negatives=()),
        Triple(question="q", positive="two", negatives=("three",)),
        Triple(question="r", positive="two", negatives=()),
    ]


def test_near_copies_of_an_answer_and_questions_of_the_same_words_are_in_one_group() -> None:
    words = " ".join(f"word{at}" for at in range(40))
    triples = [
        Triple(question="first", positive=words),
        Triple(question="second", positive=f"{words} end"),
        Triple(question="Second ", positive="something else"),
        Triple(question="third", positive="quite another text"),
    ]
    found = groups(triples)
    assert found[0] == found[1] == found[2]
    assert found[3] not in found[:3]
    assert Kinship.among([words, f"{words} end"]).are_same(words, f"{words} end")


def test_no_question_and_no_answer_is_in_two_splits() -> None:
    triples = many_triples()
    copies = [Triple(question=f"{one.question} too", positive=one.positive) for one in triples]
    learnt, held_out = divided([*triples, *copies], seed=0)
    train = {one.question for one in learnt}
    validation = {*held_out.validation.questions.values()}
    test = {*held_out.test.texts.values()}
    assert len(train | validation | test) == 2 * len(triples)
    assert not train & validation
    assert not train & test
    assert not validation & test
    answers = {one.positive for one in learnt}
    text_of = {str(record["_id"]): record["text"] for record in held_out.records}
    judged = {text_of[name] for grades in held_out.test.qrels.values() for name in grades}
    assert judged
    assert not judged & answers


def test_a_question_keeps_its_split_when_others_come() -> None:
    triples = many_triples()
    few, _ = divided(triples[:100], seed=0)
    every, _ = divided(triples, seed=0)
    assert {one.question for one in few} <= {one.question for one in every}


def test_one_triple_is_too_few() -> None:
    with pytest.raises(ExamplesError, match="too few questions"):
        divided(many_triples(1), seed=0)
    with pytest.raises(ExamplesError, match=f"it takes {LEAST_QUESTIONS} for each"):
        divided(many_triples(12), seed=0)


def test_what_is_needed_is_ranked_whatever_the_limit() -> None:
    texts = [(f"d{at}", f"text {at}") for at in range(100)]
    wanted = {f"d{at}" for at in range(0, 30, 2)}
    found = limited(texts, wanted.__contains__, limit=20)
    assert wanted <= {name for name, _ in found}
    assert len(found) == 20
    assert len(limited(texts, wanted.__contains__, limit=3)) == len(wanted)


def test_a_ranking_counts_each_document_once_by_its_nearest_passage() -> None:
    ranked = RankingSet(
        questions={"q": "?"},
        passages=["a", "b", "c"],
        documents=["x", "x", "y"],
        grades={"q": {"y": 1}},
    )
    question = np.array([[1, 0]], np.float32)
    passages = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5]], np.float32)
    assert ranked.ndcg(question, passages) == pytest.approx(1 / np.log2(3))


def test_triples_are_read_from_jsonl_and_from_parquet_alike(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = write_triples(tmp_path / "t.jsonl", 30)
    rows = letter_triples(30)
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "t.parquet")
    found = read_triples(path)
    assert found == read_triples(tmp_path / "t.parquet")
    assert len(found) == 30
    assert sha256_of_triples(found) != sha256_of_triples(random.Random(1).sample(found, 30))
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(ExamplesError, match=r"bad\.parquet can't be read"):
        read_triples(tmp_path / "bad.parquet")
    with pytest.raises(ExamplesError, match="can't be read"):
        read_triples(tmp_path / "none.jsonl")
