"""Figures of texts equal those of sacreBLEU."""

import random

import pytest

from rag_pipeline.synthetic.judging.texts import (
    bleu,
    copied,
    distinct,
    self_bleu,
    sentence_bleu,
    text_measures,
    words,
)

sacrebleu = pytest.importorskip("sacrebleu")

WORDS = [
    "the",
    "ship",
    "sails",
    "at",
    "dawn",
    "when",
    "tide",
    "turns",
    "and",
    "crew",
    ",",
    "said",
    ".",
]


def made(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, 14))) for _ in range(count)]


def theirs(text: str, references: list[str]) -> float:
    tokens = " ".join(words(text))
    of_references = [" ".join(words(one)) for one in references]
    found = sacrebleu.sentence_bleu(
        tokens, of_references, tokenize="none", smooth_method="exp", use_effective_order=True
    )
    return found.score / 100


def test_bleu_of_many_texts_is_that_of_sacrebleu() -> None:
    texts = made(60, 1)
    first, second = made(60, 2), made(60, 3)
    ours = bleu(texts, list(zip(first, second, strict=True)))
    streams = [[" ".join(words(one)) for one in side] for side in (texts, first, second)]
    found = sacrebleu.corpus_bleu(streams[0], streams[1:], tokenize="none", smooth_method="exp")
    assert ours == pytest.approx(found.score / 100, abs=1e-9)
    assert 0 < ours < 1


def test_bleu_of_one_text_is_that_of_sacrebleu() -> None:
    references = made(4, 9)
    for text in [*made(80, 4), "nothing alike", "ship", "the ship"]:
        assert sentence_bleu(text, references) == pytest.approx(theirs(text, references), abs=1e-9)


def test_self_bleu_is_the_mean_of_each_by_all_others() -> None:
    texts = [*made(25, 5), *made(3, 5), "ship ship ship", "a single text of its own words"]
    each = [theirs(text, [*texts[:at], *texts[at + 1 :]]) for at, text in enumerate(texts)]
    assert self_bleu(texts) == pytest.approx(sum(each) / len(each), abs=1e-9)


def test_the_same_text_again_and_again_is_as_like_itself_as_can_be() -> None:
    assert self_bleu(["the ship sails at dawn"] * 5) == pytest.approx(1)
    assert self_bleu(["the ship sails at dawn"]) == 0
    assert self_bleu([]) == 0
    apart = ["one two three four five", "six seven eight nine ten"]
    assert self_bleu(apart) == 0


def test_runs_that_come_again_make_texts_less_distinct() -> None:
    assert distinct(["a b c", "d e f"], 2) == 1
    assert distinct(["a b", "a b", "a b", "c d"], 2) == 0.5
    assert distinct(["a"], 2) == 0


def test_thirteen_words_in_a_row_are_a_copy_and_twelve_are_none() -> None:
    source = " ".join(f"word{number}" for number in range(40))
    pieces = source.split()
    texts = [
        "Before: " + " ".join(pieces[5:18]).upper() + ", and after.",
        " ".join(pieces[5:17]) + " other " + " ".join(pieces[18:30]),
        "",
    ]
    assert copied(texts, [source]) == [0]
    assert text_measures(texts, kept_from=[source])["copied_spans"] == pytest.approx(1 / 3)


def test_scripts_without_spaces_have_words_too() -> None:
    text = "船が朝に港を出て夕方に戻ると船長は言った"
    assert len(words(text)) > 13
    assert copied([text[3:17]], [text]) == [0]
    assert 0 < self_bleu([text, text[:-2]]) < 1
