"""Keeps what a passage says from being read as anything but what a passage says.

Only what the model is shown is changed, never what is stored or cited: chat-template tokens of any
family fall apart, invisible characters go, links and tags lose their marks, and a line that plays
another speaker is no longer one. What the passages say then ends at a fence that nobody can write
who has not seen it, for it is drawn anew for each request.
"""

import re
import secrets
from dataclasses import dataclass

from ingest.suspicion import INVISIBLE

FENCE_DIGITS = 10
"""A passage would have to guess one of ten thousand million fences. Digits, as most tokenizers
make a token of each: all fences are equally long."""

_CONTROL = re.compile(
    r"<\|[^|<>\n]{0,40}\|>|<｜[^｜\n]{0,40}｜>|\[/?(?:INST|SYSTEM|SYS|USER|ASSISTANT)[^\]\n]{0,40}\]"
    r"|<</?SYS>>|</?s>|</?(?:bos|eos|pad|unk|start_of_turn|end_of_turn|system|assistant|user|human|think)"
    r"(?:[_-]\w+)?>",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(?:^|(?<=\s))#{2,}\s*(?=(?:instruction|system|response|human|user|assistant|input)s?\b)",
    re.IGNORECASE,
)
_SPEAKER = re.compile(
    r"(?:(?<=\n)|(?<=^)|(?<=[.!?] ))(?P<who>system|assistant|human|user|developer|ai)\s?:(?=\s)",
    re.I,
)
_GAP = re.compile(r" {2,}")
_TAG = re.compile(r"<(?=/?[a-zA-Z!?][^<>]{0,500}>)")
_IMAGE = re.compile(r"!\[(?P<label>[^\]\n]{0,300})\]\((?P<url>[^)\s]{0,2000})[^)\n]{0,300}\)")
_LINK = re.compile(r"\[(?P<label>[^\]\n]{0,300})\]\((?P<url>[^)\s]{0,2000})[^)\n]{0,300}\)")


@dataclass(frozen=True, slots=True)
class Neutralised:
    """A text that commands nothing by its form, and in how many places it did."""

    text: str
    places: int


def neutralised(text: str) -> Neutralised:
    """`text` as a model may be shown it; the same words, for a reader."""
    places = 0
    for pattern, shown in (
        (INVISIBLE, ""),
        (_CONTROL, _apart),
        (_HEADER, ""),
        (_SPEAKER, r"\g<who> –"),
        (_IMAGE, r"\g<label>"),
        (_LINK, r"\g<label>"),
        (_TAG, "‹"),
    ):
        text, found = pattern.subn(shown, text)
        places += found
    return Neutralised(_GAP.sub(" ", text) if places else text, places)


def new_fence() -> str:
    """A delimiter that no passage can know."""
    return f"{secrets.randbelow(10**FENCE_DIGITS):0{FENCE_DIGITS}}"


def _apart(token: re.Match[str]) -> str:
    """The words of a control token, without what makes it one."""
    words = " ".join(re.findall(r"\w+", token[0]))
    return f" {words} "
