"""URLs and messages without the secrets that were needed to get at a source."""

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

_MASK = "***"
_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
_PASSWORD = re.compile(r"://[^/?#\s:@]*:([^/?#\s]*)@")
_SECRET_VALUE = re.compile(
    r"(?i)([?&;][\w.-]*(?:passw|pwd|secret|token|key|sig|credential|auth)[\w.-]*=)([^&#;\s]+)"
)
_SHORTEST = 3
"""Shorter strings are no secrets, and would be found in every word."""


def without_secrets(url: str) -> str:
    """The URL as it may be shown and stored: no user, no password, no signed query."""
    return _SECRET_VALUE.sub(rf"\1{_MASK}", _USERINFO.sub("", url))


def secrets_in(url: str) -> list[str]:
    """The passwords and signatures that stand in `url`, as they are written there."""
    return [*_PASSWORD.findall(url), *(value for _, value in _SECRET_VALUE.findall(url))]


def scrubbed(message: str, secrets: Iterable[str]) -> str:
    """`message` on one line, with each of `secrets` masked, however it is quoted."""
    line = " ".join(without_secrets(message).split())
    forms = {form for secret in secrets for form in (secret, unquote(secret), quote(secret, ""))}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= _SHORTEST:
            line = line.replace(form, _MASK)
    return line
