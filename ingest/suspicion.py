"""Which parts of a text speak to a language model instead of a reader (prompt injection).

Rules, not a model: each names what it found, costs next to nothing where nothing is found, and is
the same every time. They look at a form of the text in which invisible characters, look-alike
letters, digits for letters and spread letters are undone; what is stored stays as it is. They know
English, German, French and Spanish, and a little of five more languages. They are no proof: an
attack in words of its own goes unmarked, and a harmless text about such things may be marked.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from ingest.attack_phrases import (
    CONTROL,
    FAKE_TURN,
    KEY_LETTERS,
    TURN_HEADER,
    UNSPACED,
    Reason,
    Wording,
    going_on,
    wordings,
    wordings_by_key,
)
from ingest.sentences import blocks, sentences_within
from storage.records import Suspicion

SUSPICION_VERSION = 2
"""Raise it when the same text may be marked in another way."""

_ZERO_WIDTH = "\u200b-\u200f\u2060-\u2064\u180e\ufeff\u00ad\u034f"
_BIDI = "\u202a-\u202e\u2066-\u2069"
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_TAGS = "\U000e0000-\U000e007f"
INVISIBLE = re.compile(f"[{_ZERO_WIDTH}{_BIDI}{_SELECTORS}{_TAGS}]+")
"""Characters that show nothing themselves."""
_SMUGGLED = re.compile(
    f"[{_ZERO_WIDTH}]{{4,}}|[{_SELECTORS}]{{3,}}|[\u202d\u202e]|[{_TAGS}]{{2,}}"
    # Words cut by them: ten languages need joiners between letters, none between Latin ones.
    rf"|(?:[A-Za-z][{_ZERO_WIDTH}]+){{4}}"
)
_LOOKALIKES = str.maketrans(
    dict(
        zip(
            "аеорсухіјѕԁɡһӏՙвкмнтАЕОРСУХІЈЅВКМНТοαεικνρτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɑ",
            "aeopcyxijsdghl'bkmhtaeopcyxijsbkmhtoaeiknptuxabezhikmnoptyxia",
            strict=True,
        )
    )
)
_DIGIT_IN_WORD = re.compile(r"[a-z0134578@$]*[a-z][013457@$]+[a-z][a-z013457@$]*")
_DIGIT_BEFORE_LETTER = re.compile(r"[013457@$][a-z]")
"""Without one there is no digit in a word; found in a tenth of the time."""
_LETTER_OF_DIGIT = str.maketrans("013457@$", "oieastas")
_WORD = re.compile(r"\w+")
_SPREAD = re.compile(r"\b(?:[a-z](?P<gap>[ .\-_*])(?:[a-z](?P=gap)){5,}[a-z])\b")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{20,}={0,2}(?![A-Za-z0-9+/=_-])")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{2}[ :]?){16,}(?![0-9A-Za-z])")
_SPREAD_ORDERS = re.compile(r"(?:ignore|disregard)(?:all|any|the|your)*(?:previous|prior|above)")
_TEMPLATE: Reason = "chat template"
_ANNOUNCING: Set[Reason] = {"overrides instructions", "assigns a role", "encoded orders"}
"""The sentence after such an order says what it is for."""
_FOLLOWING = 4
"""How many sentences after an order may belong to it."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What gives a sentence away, and the words (folded) that are the order itself, without those
    that anybody could put into it."""

    reason: Reason
    words: str


def suspicions_in(text: str) -> tuple[Suspicion, ...]:
    """The spans of `text` that speak to a model, in order, without overlap.

    A span is whole sentences: an order, and what goes on with it in the same paragraph. Takes time
    linear in the length of `text`.
    """
    return tuple(_merged(_all_in(text)))


def _all_in(text: str) -> Iterator[Suspicion]:
    """Paragraph by paragraph; where one plays a speaker, so do the next ones that look like it, and
    what stands under its heading."""
    is_played = is_headed = False
    for start, end in blocks(text):
        found = triggers(text[start:end])
        if is_headed or (is_played and not found and FAKE_TURN.match(text, start, end)):
            yield Suspicion(start, end, _TEMPLATE)
        elif found:
            yield from _in_block(text, start, end, found)
            is_played = any(trigger.reason == _TEMPLATE for trigger in found)
        else:
            is_played = False
        is_headed = is_played and TURN_HEADER.search(text, start, end) is not None


def triggers(text: str) -> list[Trigger]:
    """What gives a paragraph, a sentence or a title away; empty if nothing does."""
    folded = fold(text)
    found = [
        Trigger(wording.reason, " ".join(wording.key_words(match[0])))
        for wording in _possible(folded)
        if (match := wording.pattern.search(folded))
    ]
    if not text.isascii() and (unspaced := UNSPACED.search(text.lower())):
        found.append(Trigger("overrides instructions", unspaced[0]))
    if not text.isascii() and _SMUGGLED.search(text):
        found.append(Trigger("hidden characters", ""))
    for decoded in _decoded(text, folded):
        if orders := triggers(decoded):
            found += [Trigger("encoded orders", ""), *orders]
    return found


def _possible(folded: str) -> Iterator[Wording]:
    """Those that have their keys in the text, in their order."""
    places, listed = wordings_by_key(), wordings()
    begun = {"", *(word[:KEY_LETTERS] for word in _WORD.findall(folded))}
    for place in sorted(set().union(*(places[key] for key in places.keys() & begun))):
        wording = listed[place]
        if not (wording.beside and wording.beside.isdisjoint(begun)):
            yield wording


def fold(text: str) -> str:
    """`text` as a model may understand it: lower case, without disguises, in single spaces."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).translate(_LOOKALIKES)
    folded = " ".join(text.lower().replace("’", "'").split())
    if not _DIGIT_BEFORE_LETTER.search(folded):
        return folded
    return _DIGIT_IN_WORD.sub(lambda word: word[0].translate(_LETTER_OF_DIGIT), folded)


def _in_block(text: str, start: int, end: int, in_all: Sequence[Trigger]) -> Iterator[Suspicion]:
    """The orders of one paragraph, each with the sentences that go on with it.

    What is found in none of its sentences alone marks the paragraph whole.
    """
    places = [
        part for place in sentences_within(text, start, end) for part in _voices(text, *place)
    ]
    kinds = [triggers(text[slice(*place)]) for place in places]
    if not any(kinds):
        yield Suspicion(start, end, _reasons(in_all))
    for number, found in enumerate(kinds):
        if found:
            last = _last_of(text, places, number, found)
            yield Suspicion(places[number][0], places[last][1], _reasons(found))


def _voices(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A sentence, cut where a token in it begins another speaker's turn."""
    found = CONTROL.search(text, start + 1, end)
    if found is not None and text[start : found.start()].strip():
        yield start, start + len(text[start : found.start()].rstrip())
        start = found.start()
    yield start, end


def _reasons(found: Sequence[Trigger]) -> str:
    return ", ".join(dict.fromkeys(trigger.reason for trigger in found))


def _last_of(
    text: str, places: Sequence[tuple[int, int]], number: int, found: Sequence[Trigger]
) -> int:
    """The last sentence that belongs to the order in sentence `number`: after an order to ignore
    all others comes what to do instead, whatever it looks like, and a speaker speaks on."""
    reasons = {trigger.reason for trigger in found}
    if _TEMPLATE in reasons:
        return len(places) - 1
    last = number
    if reasons & _ANNOUNCING:
        last = min(number + 1, len(places) - 1)
    for following in range(last + 1, min(number + 1 + _FOLLOWING, len(places))):
        if not going_on().search(fold(text[slice(*places[following])])):
            break
        last = following
    return last


def _merged(found: Iterable[Suspicion]) -> list[Suspicion]:
    merged: list[Suspicion] = []
    for one in found:
        if merged and one.start < merged[-1].end:
            before = merged[-1]
            reasons = dict.fromkeys([*before.reason.split(", "), *one.reason.split(", ")])
            merged[-1] = Suspicion(before.start, max(before.end, one.end), ", ".join(reasons))
        else:
            merged.append(one)
    return merged


def _decoded(text: str, folded: str) -> Iterator[str]:
    """What stands in `text` in base64, as hexadecimal digits, by rot13, or letter by letter."""
    for found in _BASE64.finditer(text):
        yield from _printable(_from_base64(found[0]))
    for found in _HEX.finditer(text):
        yield from _printable(bytes.fromhex(re.sub(r"[ :]", "", found[0])))
    if "rot13" in folded or "rot-13" in folded:
        yield codecs.decode(text, "rot13")
    for found in _SPREAD.finditer(folded):
        if _SPREAD_ORDERS.search(re.sub(r"[\W_]", "", found[0])):
            yield "ignore all previous instructions"


def _from_base64(blob: str) -> bytes:
    standard = blob.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4))
    except binascii.Error:
        return b""


def _printable(decoded: bytes) -> Iterator[str]:
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        return
    if text.isprintable():
        yield text
