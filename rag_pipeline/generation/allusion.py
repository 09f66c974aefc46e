"""What the pronoun that a sentence begins with stands for, as far as the text before it tells.

"Its lamp was first lit in 1716." speaks of whatever the sentence before has as its subject. Where
no sentence before begins with a noun phrase or a name, it is taken to speak of the title.
"""

import re
from collections.abc import Iterable, Iterator

from rag_pipeline.generation.subjects import names_in, phrase_at

_PRONOUN = re.compile(r"(?:It|They|He|She)\b(?!['’])")
_POSSESSIVE = re.compile(r"(?:Its|Their|His|Her)\b")
_DETERMINER = re.compile(r"(?:The|A|An) ")
_DEFINITE = re.compile(r"The (\w+)\b")
_EXPLETIVE = re.compile(r"It (?:\w+ ){1,4}(?:that|when|until|because|to|if|whether|how|who)\b")
"""What "It" stands for nothing in."""
_FOLLOWS_A_NAME = re.compile(r" (?:is|are|was|were|has|had|have|will|would|can|could|\w+ed)\b")
_START = 200
"""So many characters have the subject."""
_LONGEST = 6
"""A phrase of more words has a verb in it that is not known."""


def antecedents(sentences: Iterable[str], title: str) -> Iterator[str]:
    """For each sentence of a passage what it alludes to; "" if it stands on its own."""
    known = title if len(title) <= _START else ""
    for sentence in sentences:
        yield known if _alludes(sentence, known) else ""
        known = (not _has_pronoun(sentence) and _subject(sentence)) or known


def resolved(sentence: str, antecedent: str) -> str:
    """The sentence with what it alludes to in the place of its pronoun."""
    if _POSSESSIVE.match(sentence):
        return _POSSESSIVE.sub(lambda _: f"{antecedent}'s", sentence, count=1)
    pattern = _PRONOUN if _PRONOUN.match(sentence) else _DEFINITE
    return pattern.sub(lambda _: antecedent, sentence, count=1)


def _has_pronoun(sentence: str) -> bool:
    return bool(_PRONOUN.match(sentence) or _POSSESSIVE.match(sentence))


def _alludes(sentence: str, known: str) -> bool:
    """Whether it begins with a pronoun, or with "the tower" where a longer name has the word."""
    if _has_pronoun(sentence):
        return not _EXPLETIVE.match(sentence)
    named = _DEFINITE.match(sentence)
    return (
        named is not None
        and named[1].lower() in known.lower().split()
        and not sentence.lower().startswith(known.lower())
        and len(known.split()) > len(_subject(sentence).split())
    )


def _subject(sentence: str) -> str:
    """The name or the noun phrase that a sentence begins with; "" if it begins with neither."""
    if _DETERMINER.match(sentence):
        phrase = phrase_at(sentence[:_START])
        return phrase if 1 < len(phrase.split()) <= _LONGEST else ""
    names = names_in(sentence[:_START])
    if not names or not sentence.startswith(names[0]):
        return ""
    is_name = " " in names[0] or _FOLLOWS_A_NAME.match(sentence, len(names[0]))
    return names[0] if is_name and not names[0].endswith(("'s", "’s")) else ""
