"""From text to the terms that are indexed and searched: the same way for both.

A text is cut into tokens in one way, whatever its language; the language decides which of them are
stop words and what the stem of the others is. Chinese, Japanese, Korean and South-East Asian text,
whose words no blank divides, gives its characters and their bigrams, so that it is found without a
dictionary (Lucene's CJKBigramFilter does the same).
"""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

import Stemmer

from storage.keyword_index.languages import DEFAULT, stemmer, stop_words

ANALYSIS = f"2; snowball {Stemmer.version()}; unicode {unicodedata.unidata_version}"
"""Names everything that decides which terms a text gives: an index made with another is no good."""

_LONGEST_WORD = 64
STEMS_KEPT = 1 << 17

# Accents of Latin, Greek and Cyrillic, vowel points of Hebrew and Arabic: written or left out.
_OPTIONAL = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670"
_OPTIONAL_MARKS = re.compile(f"[{_OPTIONAL}]+")
# Thai to Myanmar, Khmer, kana and Han with their extensions, Hangul.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
# Letters and digits, the marks on them, and the blocks whose vowel signs `\w` leaves out: India to
# Myanmar, Khmer.
_LETTER = f"[\\w{_OPTIONAL}\u0900-\u0963\u0966-\u0eff\u1000-\u109f\u1780-\u17d3]"
# A number with its decimals or groups of thousands, or a word with its apostrophes.
_TOKEN = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d{1,16})?(?![\d,])|\d{1,16}(?:\.\d{1,16}){1,4}"
    rf"|{_LETTER}{{1,{_LONGEST_WORD}}}(?:'\w{{1,8}}){{0,2}}"
)
# Articles and particles of the Romance languages that lose their vowel before another: l'eau.
_ELISION = re.compile(
    r"\b((?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|quoiqu|(?:d|n|s)?[ae]ll|quest|sant|un))'(?=\w{2})"
)


def analyse(text: str, language: str = DEFAULT) -> list[str]:
    """The terms of `text` in their order, repeated as often as they stand there."""
    return [term for token in tokens(text) if (term := term_of(token, language))]


def tokens(text: str) -> list[str]:
    """What stands between blanks and punctuation, without regard to case, width and ligatures.

    Each pair of unspaced characters follows the first of the two.
    """
    found: list[str] = _TOKEN.findall(_folded(text))
    return found


def is_pair(term: str) -> bool:
    """Whether a term stands at the place of the term before it."""
    return len(term) == 2 and _UNSPACED.fullmatch(term) is not None


@lru_cache(maxsize=STEMS_KEPT)
def term_of(token: str, language: str) -> str:
    """The term that a token stands for in a language; empty for a stop word."""
    if is_stop_word(token, language):
        return ""
    stem = stemmer(language)
    # English letters have no accents; those of other languages tell their endings apart.
    return stem(bare(token)) if language == DEFAULT else bare(stem(token.replace(",", "")))


@lru_cache(maxsize=STEMS_KEPT)
def is_stop_word(token: str, language: str) -> bool:
    """Whether a language uses the token only to hold its sentences together."""
    words = stop_words(language)
    return token in words or bare(token) in words


def bare(token: str) -> str:
    """Without the commas and marks that are written or left out."""
    token = token.replace(",", "")
    if token.isascii():
        return token
    bare = _OPTIONAL_MARKS.sub("", unicodedata.normalize("NFKD", token))
    return unicodedata.normalize("NFC", bare)


def _folded(text: str) -> str:
    """Without what every spelling may vary in: case, width, ligatures, elision."""
    text = text.replace("_", " ")
    if text.isascii():
        return _elided(text.lower())
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    return _elided(_UNSPACED.sub(_grams, unicodedata.normalize("NFC", plain)))


def _elided(text: str) -> str:
    return _ELISION.sub(r"\1 ", text) if "'" in text else text


def _grams(run: re.Match[str]) -> str:
    """Each character of a run, so that words of one are found, and each pair of neighbours."""
    characters = run.group()
    pairs = [f"{first} {first}{second}" for first, second in pairwise(characters)]
    return f" {' '.join([*pairs, characters[-1]])} "
