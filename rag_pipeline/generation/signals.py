"""What says how well a sentence fits a question, as numbers that a calibration weighs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """How well a sentence fits a question; each from 0 to 1, cosines from -1."""

    cosine: float
    passage_cosine: float
    best_cosine: float
    """Of any sentence that was found."""
    about: float
    """The part of the question's words that the sentence and its surroundings have."""
    words: float
    """The part of its words that are no names or numbers, and those alone."""
    marks: float
    """The part of its names and numbers; 1 if there are none."""
    passage_words: float
    """As `words`, in the whole passage."""
    same_polarity: float
    opposed: float
    """Whether one says "before" where the other says "after"."""
    denies: float
    """Whether the question asks for what is not."""
    has_what_is_asked: float
    is_of_kind: float
    """Whether it has a date, length, age, weight or share where one is asked for."""
    fit: float
    """The chance that it is this sentence of all that were found."""
    is_stated: float
    """Whether the sentence says word for word what is asked."""
    is_nearly_stated: float
    """Whether it says so with much in between, or of what its first words allude to."""


SIGNALS = tuple(Signals.__dataclass_fields__)
"""Their names."""
