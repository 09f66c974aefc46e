"""Asking a server again that could not answer just now, ever more rarely, and not for ever."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from rag_pipeline.errors import GeneratorUnavailableError

T = TypeVar("T")

_LONGEST_WAIT_S = 8.0


class TryAgainError(GeneratorUnavailableError):
    """A server could not answer just now; in a moment it may."""

    def __init__(self, message: str, *, after_s: float | None = None) -> None:
        self.after_s = after_s
        """How long it asked us to wait, if it did."""
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a server is asked, and how long is waited in between."""

    attempts: int
    first_wait_s: float = 0.5
    longest_asked_s: float = 60.0
    """A server that asks for a longer wait than this is given up."""
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    """At least 0, less than 1."""

    def wait_s(self, attempt: int, asked_s: float | None) -> float:
        """How long to wait after attempt 1, 2, …: at most twice as long each time, at least half of
        that (so that many who failed together do not come back together), and no less than the
        server asked for."""
        longest: float = min(self.first_wait_s * 2.0 ** (attempt - 1), _LONGEST_WAIT_S)
        return (asked_s or 0.0) + longest * (1 + self.jitter()) / 2


def retried(ask: Callable[[], T], patience: Patience) -> T:
    """What `ask` gives, asked again while it raises `TryAgainError`.

    Raises `GeneratorUnavailableError` when it was asked often enough, or is to be left alone for
    longer than anybody would wait.
    """
    for attempt in range(1, patience.attempts):
        try:
            return ask()
        except TryAgainError as error:
            if (error.after_s or 0) > patience.longest_asked_s:
                raise GeneratorUnavailableError(
                    f"{error} It asked to be left alone for {error.after_s:.0f} s."
                ) from error
            patience.sleep(patience.wait_s(attempt, error.after_s))
    try:
        return ask()
    except TryAgainError as error:
        raise GeneratorUnavailableError(f"{error} Attempts: {patience.attempts}.") from error


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that `Retry-After` asks for (RFC 9110, 10.2.3); None if it says nothing.

    `headers` finds a name whatever its case.
    """
    said = headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        return _until(said)
    return max(seconds, 0.0) if seconds < float("inf") else None


def _until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((aware - datetime.now(UTC)).total_seconds(), 0.0)
