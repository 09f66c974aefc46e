"""Automatic judges: what can be said of an answer by rule, from what is on record of it.

A judge's version changes whenever it would say something else of the same record; what an earlier
version said stays on record, and the newest counts.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ingest.parse.language import detect_language
from ingest.sentences import sentences
from storage.keyword_index.analysis import analyse, is_pair, tokens
from storage.keyword_index.languages import DEFAULT, LANGUAGES
from storage.records import PromptRecord, Score

if TYPE_CHECKING:
    from glin_profanity import Filter

NOT_APPLICABLE = "not applicable"
"""The label of an answer that a judge can't judge."""
_WORD_LISTS = {
    "ar": "arabic",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "hi": "hindi",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
"""Languages of which glin-profanity has a list, as it calls them."""
_WORD = re.compile(r"[^\W\d_]+")
_LONG_WORD = 7
_EASIEST, _HARDEST = 20.0, 60.0
_FEWEST_WORDS = 5


@dataclass(frozen=True, slots=True)
class Rule:
    """A judge, what it measures, and its rule: from 0 to 1; None where it does not apply."""

    name: str
    version: str
    metric: str
    judge: Callable[[PromptRecord], float | None]

    def score(self, prompt: PromptRecord) -> Score:
        """What it says of a completed exchange."""
        value = self.judge(prompt)
        return Score(
            value=value,
            metric=self.metric,
            judge="automatic",
            judge_name=self.name,
            judge_version=self.version,
            label=NOT_APPLICABLE if value is None else None,
        )


def judges() -> tuple[Rule, ...]:
    """All that can judge on this machine."""
    return (
        Rule("cited-sentences", "1", "groundedness", groundedness),
        Rule("question-terms", "1", "relevance", relevance),
        Rule("lix", "1", "readability", readability),
        *_toxicity(),
    )


def groundedness(prompt: PromptRecord) -> float | None:
    """The share of the answer's sentences that a verified citation bears out."""
    spans = _said(prompt)
    cited = [(one.answer_start, one.answer_end) for one in prompt.citations]
    held = [any(start < end_ and begin < end for begin, end_ in cited) for start, end in spans]
    return sum(held) / len(held) if held else None


def relevance(prompt: PromptRecord) -> float | None:
    """The share of the question's content words that answer or quotes have, by their stems."""
    if not _said(prompt):
        return None
    question = prompt.standalone or prompt.question
    language = _language(f"{question} {prompt.answer}")
    asked = {*analyse(question, language)}
    quotes = " ".join(citation.quote for citation in prompt.citations)
    found = {*analyse(f"{prompt.answer} {quotes}", language)}
    return len(asked & found) / len(asked) if asked else None


def readability(prompt: PromptRecord) -> float | None:
    """How easily the answer reads: LIX of 20 (very easy) or less is 1, of 60 (very hard) or more 0.

    LIX is the mean number of words in a sentence and the percentage of words of more than six
    letters (Björnsson, Läsbarhet, 1968). It counts no syllables, and so needs no dictionary and
    holds for most languages that divide their words; to others it does not apply.
    """
    spans, text = _said(prompt), prompt.answer or ""
    words = [word for start, end in spans for word in _WORD.findall(text[start:end])]
    if len(words) < _FEWEST_WORDS or any(map(is_pair, tokens(text))):
        return None
    long = sum(len(word) >= _LONG_WORD for word in words)
    lix = len(words) / len(spans) + 100 * long / len(words)
    return min(1.0, max(0.0, (_HARDEST - lix) / (_HARDEST - _EASIEST)))


def _toxicity() -> Iterator[Rule]:
    """By the word lists of glin-profanity, where it is installed."""
    try:
        from importlib.metadata import version

        import glin_profanity  # noqa: F401  # whether it is there
    except ImportError:
        return
    yield Rule("glin-profanity", version("glin-profanity"), "toxicity", toxicity)


def toxicity(prompt: PromptRecord) -> float | None:
    """The share of the answer's sentences with a word of its language's list: less is better.

    A list knows no context: "the patient's sex" is marked. It finds what to look at, no more.
    """
    spans, text = _said(prompt), prompt.answer or ""
    language = _WORD_LISTS.get(_language(text))
    if language is None:
        return None
    marked = [_word_list(language).is_profane(text[start:end]) for start, end in spans]
    return sum(marked) / len(marked) if marked else None


@cache
def _word_list(language: str) -> "Filter":
    from glin_profanity import Filter

    return Filter({"languages": [language]})


def _said(prompt: PromptRecord) -> Sequence[tuple[int, int]]:
    """The sentences of an answer by start and end; none where it says that there is none."""
    if prompt.answer is None or prompt.state == "no_evidence":
        return []
    text = prompt.answer
    return [(start, end) for start, end in sentences(text) if _WORD.search(text[start:end])]


def _language(text: str) -> str:
    found = detect_language(text)
    return found if found in LANGUAGES else DEFAULT
