"""How long a server is left alone, and how often it is asked."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import GenerationError, GeneratorUnavailableError
from rag_pipeline.generation.growing_text import GrowingText
from rag_pipeline.generation.language_model import Sampling
from rag_pipeline.generation.retrying import Patience, TryAgainError, retried, retry_after_s


class _Busy:
    """Answers after so many failures."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = [*failures]
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def _patience(waits: list[float], attempts: int = 3, jitter: float = 0.0) -> Patience:
    return Patience(attempts=attempts, sleep=waits.append, jitter=lambda: jitter)


def _busy(count: int, after_s: float | None = None) -> _Busy:
    return _Busy(*(TryAgainError("It is busy.", after_s=after_s) for _ in range(count)))


@pytest.mark.parametrize(("jitter", "waits"), [(0.0, [0.25, 0.5, 1.0]), (1.0, [0.5, 1.0, 2.0])])
def test_each_wait_is_twice_as_long_and_never_quite_the_same(
    jitter: float, waits: list[float]
) -> None:
    waited: list[float] = []
    assert retried(_busy(3), _patience(waited, attempts=4, jitter=jitter)) == "answer"
    assert waited == waits


def test_no_wait_grows_without_end() -> None:
    assert _patience([], jitter=0.99).wait_s(40, None) < 8


def test_a_server_is_left_alone_for_at_least_as_long_as_it_asks() -> None:
    waited: list[float] = []
    retried(_busy(2, after_s=7), _patience(waited))
    assert waited == [7.25, 7.5]


def test_a_server_that_asks_for_too_long_is_given_up_unasked() -> None:
    busy, waited = _busy(1, after_s=61), []
    with pytest.raises(GeneratorUnavailableError, match="left alone for 61 s"):
        retried(busy, _patience(waited))
    assert (busy.asked, waited) == (1, [])


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_what_stays_busy_is_asked_so_often_and_no_more(attempts: int) -> None:
    busy, waited = _busy(9), []
    with pytest.raises(GeneratorUnavailableError, match=rf"It is busy\. Attempts: {attempts}\."):
        retried(busy, _patience(waited, attempts=attempts))
    assert (busy.asked, len(waited)) == (attempts, attempts - 1)


@pytest.mark.parametrize("failure", [GenerationError("no"), GeneratorUnavailableError("no")])
def test_what_will_not_be_otherwise_is_not_asked_again(failure: Exception) -> None:
    busy, waited = _Busy(failure), []
    with pytest.raises(type(failure)):
        retried(busy, _patience(waited))
    assert (busy.asked, waited) == (1, [])


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00", 0.0),
        ("Wed, 99 Oct 2015", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(said: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": said}) == seconds
    assert retry_after_s({}) is None


def test_a_date_to_come_is_so_many_seconds_away() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after_s({"retry-after": date}) == pytest.approx(90, abs=3)


@given(
    st.lists(st.text("abE ", max_size=6), max_size=8),
    st.lists(st.text("abE", min_size=1, max_size=3), max_size=3),
    st.integers(1, 20),
)
def test_what_was_shown_of_an_answer_is_its_beginning_however_it_comes(
    pieces: list[str], stop: list[str], longest: int
) -> None:
    whole = GrowingText(Sampling(stop=tuple(stop)), longest=longest)
    shown = whole.add("".join(pieces)) + whole.rest()
    growing = GrowingText(Sampling(stop=tuple(stop)), longest=longest)
    told = ""
    for piece in pieces:
        told += growing.add(piece)
        if growing.ended:
            break
    told += growing.rest()
    assert told == growing.text
    assert len(told) <= longest
    # Of several stop strings that overlap, the one that ends first is seen first.
    if len(stop) <= 1 and len("".join(pieces)) <= longest:
        assert told == shown
