"""From text to the terms that are indexed and searched: the same way for both.

English is stemmed and loses its stop words; every other script is folded and split. Chinese,
Japanese, Korean and South-East Asian text, whose words no blank divides, gives its characters and
their bigrams, so that it is found without a dictionary (Lucene's CJKBigramFilter does the same).
"""

import re
import threading
import unicodedata
from functools import lru_cache
from itertools import pairwise

import Stemmer

ANALYSIS = f"1; snowball {Stemmer.version()}; unicode {unicodedata.unidata_version}"
"""Names everything that decides which terms a text gives: an index made with another is no good."""

# Lucene's list (EnglishAnalyzer.ENGLISH_STOP_WORDS_SET): short, so that few queries vanish.
_ENGLISH_STOP_WORDS = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with"
)
_STOP_WORDS = frozenset(_ENGLISH_STOP_WORDS.split())
_LONGEST_WORD = 64
_STEMS_KEPT = 1 << 17

# Accents of Latin, Greek and Cyrillic, vowel points of Hebrew and Arabic: written or left out.
_OPTIONAL_MARKS = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670]+")
# Thai to Myanmar, Khmer, kana and Han with their extensions, Hangul.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
# Letters and digits, and the blocks whose vowel signs `\w` leaves out: India to Myanmar, Khmer.
_LETTER = "[\\w\u0900-\u0963\u0966-\u0eff\u1000-\u109f\u1780-\u17d3]"
# A number with its decimals or groups of thousands, or a word with its apostrophes.
_TOKEN = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d{1,16})?(?![\d,])|\d{1,16}(?:\.\d{1,16}){1,4}"
    rf"|{_LETTER}{{1,{_LONGEST_WORD}}}(?:'\w{{1,8}}){{0,2}}"
)
_stemmer = Stemmer.Stemmer("english", 0)
_stemmer_lock = threading.Lock()


def analyse(text: str) -> list[str]:
    """The terms of `text` in their order, repeated as often as they stand there."""
    return [term for token in _TOKEN.findall(_folded(text)) if (term := _term(token))]


def _folded(text: str) -> str:
    """Without what spelling may vary in: case, width, ligatures, accents."""
    text = text.replace("_", " ")
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    bare = _OPTIONAL_MARKS.sub("", unicodedata.normalize("NFKD", plain))
    return _UNSPACED.sub(_grams, unicodedata.normalize("NFC", bare))


def _grams(run: re.Match[str]) -> str:
    """Each character of a run, so that words of one are found, and each pair of neighbours."""
    characters = run.group()
    pairs = map("".join, pairwise(characters))
    return f" {' '.join([*characters, *pairs])} "


@lru_cache(maxsize=_STEMS_KEPT)
def _term(token: str) -> str:
    """The term that a token stands for; empty for a stop word."""
    if token in _STOP_WORDS:
        return ""
    # A stemmer keeps state while it works.
    with _stemmer_lock:
        stem: str = _stemmer.stemWord(token.replace(",", ""))
    return stem
