"""Takes out of a text what names or reaches a person, before the text leaves the house.

A `Redactor` is a port: these are patterns of what has a form of its own. Numbers that carry a check
digit are only taken where it is right, so that order numbers and measurements stay.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w](?:[\w.+-]{0,62}[\w+-])?@(?:[\w](?:[\w-]{0,61}\w)?\.){1,8}[^\W\d_]{2,24}(?![\w-])"
)
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ ]?[A-Z\d]){11,30}(?!\w)")
_CARD = re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){12,18}(?![\w-])")
_IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:]|\.\d)"
)
_PHONE = re.compile(
    r"(?<![\w.,/:-])(?:\+|00)\d{1,3}(?:[ .\-/]?(?:\(\d{1,5}\)|\d{1,5})){2,6}(?![\w-])"
    r"|(?<![\w.,/:-])(?:\(0\d{1,5}\)|0\d{1,5})[ /\-](?:\d[ .\-/]?){4,10}\d(?![\w-])"
    r"|(?<![\w.,/:-])(?:\([2-9]\d{2}\)|[2-9]\d{2})[ .\-][2-9]\d{2}[ .\-]\d{4}(?![\w-])"
)
_LEAST_DIGITS, _MOST_DIGITS = 7, 15
"""Of a telephone number (ITU-T E.164 allows 15)."""
_SHORTEST_IBAN, _LONGEST_IBAN = 15, 34


class Redactor(Protocol):
    """Takes out of texts what is not to be passed on."""

    def __call__(self, text: str) -> str:
        """`text` with each finding replaced by its kind, like `[EMAIL]`; twice changes nothing."""


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    pattern: re.Pattern[str]
    is_one: Callable[[str], bool]

    def redacted(self, text: str) -> str:
        return self.pattern.sub(self._replacement, text)

    def _replacement(self, found: re.Match[str]) -> str:
        return f"[{self.name}]" if self.is_one(found[0]) else found[0]


def redact_patterns(text: str) -> str:
    """A `Redactor` of e-mail addresses, IBANs, card numbers, IP addresses and telephone numbers."""
    for kind in _KINDS:
        text = kind.redacted(text)
    return text


def _is_any(_found: str) -> bool:
    return True


def _is_iban(found: str) -> bool:
    """Whether the check digits are right (ISO 13616: modulo 97)."""
    code = found.replace(" ", "")
    if not _SHORTEST_IBAN <= len(code) <= _LONGEST_IBAN:
        return False
    return int("".join(str(int(sign, 36)) for sign in code[4:] + code[:4])) % 97 == 1


def _is_card(found: str) -> bool:
    """Whether the check digit is right (ISO/IEC 7812: Luhn)."""
    digits = [int(sign) for sign in reversed(found) if sign.isdecimal()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return len(set(digits)) > 1 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _is_address(found: str) -> bool:
    try:
        ipaddress.ip_address(found)
    except ValueError:
        return False
    # "::" alone is a sign of programs far more often than the unspecified address.
    return found != "::"


def _is_phone(found: str) -> bool:
    return _LEAST_DIGITS <= sum(sign.isdecimal() for sign in found) <= _MOST_DIGITS


_KINDS = (
    _Kind("EMAIL", _EMAIL, _is_any),
    _Kind("IBAN", _IBAN, _is_iban),
    _Kind("CARD", _CARD, _is_card),
    _Kind("IP", _IP, _is_address),
    _Kind("PHONE", _PHONE, _is_phone),
)
"""In this order: a card number would pass for a telephone number."""
