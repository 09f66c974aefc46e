"""Ids that come from a table of words, beside those of the tokenizer itself."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.minilm import MINILM_FOLDER
from tokenizers import AddedToken, Encoding, Tokenizer, models, normalizers, pre_tokenizers

from ingest.embedders import word_ids
from ingest.embedders.model_folder import ModelFolder
from ingest.embedders.word_ids import WordIds, reads_word_by_word

TOKENIZER = ModelFolder(MINILM_FOLDER).tokenizer
LONG_LIVED = WordIds(TOKENIZER)
"""Knows more and more words from example to example."""

SPACES = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000"
NO_SPACES = "\x00\x7f\xad\u180e\u200b\u200d\u2060\ufeff"
JOINING = "\u0301\u0345\u0e33\u3099ıİßΣſﬁ中가각ク゛"
PIECES = ["[SEP]", "[MASK]", "[UNK]", "##ing", "bee", "Bee", "bee.", "(bee)", "unquestionable"]
ANY_TEXT = st.one_of(
    st.text(),
    st.text(SPACES + NO_SPACES + JOINING + "abB.,-"),
    st.lists(st.sampled_from([*PIECES, *SPACES, *JOINING])).map("".join),
)


def plain(texts: Sequence[str]) -> list[list[int]]:
    return [TOKENIZER.encode(text, add_special_tokens=False).ids for text in texts]


def found(words: WordIds, texts: Sequence[str]) -> list[list[int]]:
    return [ids.tolist() for ids in words.of(texts)]


@given(st.lists(ANY_TEXT, max_size=4))
def test_any_texts_have_the_ids_that_the_tokenizer_gives_them_the_first_time_and_again(texts):
    words = WordIds(TOKENIZER)
    assert found(words, texts) == plain(texts)
    assert found(words, texts) == plain(texts)
    assert found(LONG_LIVED, texts) == plain(texts)


@pytest.mark.parametrize("space", SPACES)
def test_every_kind_of_white_space_separates_or_joins_as_the_tokenizer_has_it(space):
    text = f"light{space}house{space}{space}keeper"
    assert found(WordIds(TOKENIZER), [text]) == plain([text])


class Asked:
    """A tokenizer that notes what it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, text: str, *, add_special_tokens: bool) -> Encoding:
        self.texts.append(text)
        return TOKENIZER.encode(text, add_special_tokens=add_special_tokens)


def test_a_word_is_tokenised_once_however_often_it_comes() -> None:
    asked = Asked()
    words = WordIds(asked)  # type: ignore[arg-type]
    list(words.of(["a bee and a bee", "and a bee"]))
    list(words.of(["a bee and another"]))
    assert sorted(asked.texts) == ["a", "and", "another", "bee"]


def test_the_table_stays_small_whatever_comes_and_long_words_are_not_kept(monkeypatch) -> None:
    monkeypatch.setattr(word_ids, "_MOST_WORDS", 10)
    words = WordIds(TOKENIZER)
    texts = [" ".join(f"w{number}" for number in range(n, n + 7)) for n in range(40)]
    texts.append("x" * 500 + " " + "中文" * 100)
    for text in texts:
        assert found(words, [text]) == plain([text])
        assert len(words._known) <= 10
        assert max(map(len, words._known)) <= 64


def test_a_text_of_more_words_than_the_table_holds_is_read_in_whole(monkeypatch) -> None:
    monkeypatch.setattr(word_ids, "_MOST_WORDS", 10)
    text = " ".join(f"w{number}" for number in range(100))
    words = WordIds(TOKENIZER)
    assert found(words, [text, text]) == plain([text, text])
    assert len(words._known) <= 10


def test_threads_that_crowd_each_other_s_words_out_get_their_own_ids(monkeypatch) -> None:
    monkeypatch.setattr(word_ids, "_MOST_WORDS", 20)
    rng = random.Random(5)
    texts = [" ".join(f"w{rng.randrange(60)}" for _ in range(12)) for _ in range(400)]
    words = WordIds(TOKENIZER)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda text: found(words, [text])[0], texts)) == plain(texts)


def bert_like() -> Tokenizer:
    vocabulary = {"[UNK]": 0, "new": 1, "york": 2, "a": 3}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def test_tokenizers_whose_tokens_may_reach_across_spaces_are_told_apart() -> None:
    assert reads_word_by_word(TOKENIZER)
    assert reads_word_by_word(bert_like())
    pieces = bert_like()
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    spaced = bert_like()
    spaced.add_tokens([AddedToken("new york")])
    cased = bert_like()
    cased.normalizer = normalizers.NFKC()
    assert not any(map(reads_word_by_word, [pieces, spaced, cased, Tokenizer(models.BPE())]))


def test_a_model_with_a_token_of_two_words_is_counted_by_its_tokenizer(tmp_path) -> None:
    tokenizer = bert_like()
    tokenizer.add_tokens([AddedToken("new york")])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"hidden_size": 4}')
    model = ModelFolder(tmp_path)
    texts = ["a new york", "new a york", ""]
    assert model.count(texts) == [2, 3, 0]
    assert [ids.tolist() for ids in model.token_ids(texts)] == [[3, 4], [1, 3, 2], []]
