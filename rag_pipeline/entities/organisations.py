"""What tells that a name is an organisation's."""

import itertools
from collections.abc import Sequence

from rag_pipeline.entities.lexicon import lexicon

LEGAL_FORMS = lexicon("legal_forms")
HEADS = lexicon("organisation_heads")
"""The noun that says what it is: it stands last (Harvard University), or before `of` or `for`."""
_KNOWN = frozenset(name.replace("~", " ") for name in lexicon("known_organisations"))
_AMBIGUOUS = lexicon("ambiguous_heads")
"""Heads that stand at the end of much else; alone they tell nothing of two words."""


def looks_like_an_organisation(words: Sequence[str]) -> bool:
    """Whether words have the form of the name of an organisation."""
    plain = [word.rstrip(".").casefold() for word in words]
    if " ".join(plain) in _KNOWN:
        return True
    if len(plain) == 1:
        return False
    if plain[-1] in LEGAL_FORMS or (plain[-1] in HEADS and plain[-1] not in _AMBIGUOUS):
        return True
    return has_head(plain) or "&" in words


def has_head(plain: Sequence[str]) -> bool:
    """Whether a head stands before `of` or `for` in folded words: University of …"""
    return any(
        word in HEADS and following in ("of", "for", "de", "des", "du", "für", "di")
        for word, following in itertools.pairwise(plain)
    )
