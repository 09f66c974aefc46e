"""What is known of single languages: their Snowball stemmers, and the words that carry no meaning.

Stop words are Snowball's lists of function words (see the licence beside them), but for English
Lucene's, which is shorter, so that few queries vanish.
"""

import threading
from collections.abc import Callable
from functools import cache
from importlib.resources import files

import Stemmer

DEFAULT = "en"
"""How a text is read whose language is unknown, or not known to Snowball: the words of other
languages that such texts quote, and their names and code, are mostly English."""

_ALGORITHMS = {
    "ar": "arabic",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
LANGUAGES = tuple(_ALGORITHMS)
_LISTED = frozenset(
    ["da", "de", "es", "fi", "fr", "hu", "it", "ne", "nl", "no", "pt", "ru", "sv", "tr"]
)
_SHARED_LISTS = {"nb": "no", "nn": "no"}

# Lucene's EnglishAnalyzer.ENGLISH_STOP_WORDS_SET.
_ENGLISH_STOP_WORDS = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with"
)


def read_as(language: str | None) -> str:
    """The language whose stemmer and stop words serve for `language` (ISO 639-1)."""
    return language if language in _ALGORITHMS else DEFAULT


@cache
def stop_words(language: str) -> frozenset[str]:
    """The stop words of one of `LANGUAGES`; none where Snowball has no list."""
    name = _SHARED_LISTS.get(language, language)
    if name == "en":
        return frozenset(_ENGLISH_STOP_WORDS.split())
    if name not in _LISTED:
        return frozenset()
    listed = files("storage.keyword_index") / "stop_words" / f"{name}.txt"
    return frozenset(listed.read_text(encoding="utf-8").split())


@cache
def stemmer(language: str) -> Callable[[str], str]:
    """From a word of one of `LANGUAGES` to its stem, in any number of threads."""
    algorithm = Stemmer.Stemmer(_ALGORITHMS[language], 0)
    # A stemmer keeps state while it works.
    lock = threading.Lock()

    def stem(word: str) -> str:
        with lock:
            found: str = algorithm.stemWord(word)
        return found

    return stem
