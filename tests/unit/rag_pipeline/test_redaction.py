"""What is taken out of texts, what is not, and that nothing takes long."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.history.redaction import redact_patterns


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("anna.berg+news@mail.example.org", "EMAIL"),
        ("jörg@müller-söhne.example", "EMAIL"),
        ("a@b.io", "EMAIL"),
        ("DE89 3704 0044 0532 0130 00", "IBAN"),
        ("GB82WEST12345698765432", "IBAN"),
        ("NO9386011117947", "IBAN"),
        ("4111 1111 1111 1111", "CARD"),
        ("5500-0000-0000-0004", "CARD"),
        ("378282246310005", "CARD"),
        ("192.168.0.1", "IP"),
        ("2001:db8::ff00:42:8329", "IP"),
        ("+49 30 901820", "PHONE"),
        ("+44 (20) 7946 0958", "PHONE"),
        ("0049-30-1234567", "PHONE"),
        ("030/1234567", "PHONE"),
        ("(415) 555-2671", "PHONE"),
    ],
)
def test_what_reaches_a_person_is_taken_out_of_its_sentence(text: str, kind: str) -> None:
    assert redact_patterns(f"Write or call: {text}.") == f"Write or call: [{kind}]."
    assert redact_patterns(f"({text})") == f"([{kind}])"


@pytest.mark.parametrize(
    "text",
    [
        "It was lit on 14 September 1716, at 18:30:15.",
        "Version 3.11.2 of 2026-11-21, see 10.1000/182.",
        "Order 4111 1111 1111 1112 holds 1,250,000 parts.",
        "The constant is 3.14159265358979 or 6.02214076e23.",
        "GB82WEST12345698765433 fails its check.",
        "Use std::vector or a[1:2:3], and 999.999.999.999.",
        "Pages 100-200, 1914-1918, ISBN 978-3-16-148410-0.",
        "anna@ home, @anna, and 5 apples @ 3 euros.",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert redact_patterns(text) == text


@given(st.text(alphabet="ab1 0.:-+@/()DE\n🐝", max_size=80))
def test_what_was_redacted_stays_as_it_is(text: str) -> None:
    once = redact_patterns(text)
    assert redact_patterns(once) == once


@pytest.mark.parametrize("part", ["1 ", "a.", "1.", "::", "a@", "+1-", "A1 ", "0/", "(", "a@b."])
def test_time_grows_with_the_length_alone(part: str) -> None:
    def taken(length: int) -> float:
        text = part * (length // len(part))
        begun = time.process_time()
        redact_patterns(text)
        return time.process_time() - begun

    # Eightfold would be linear; a pattern that backtracks over all of it takes 64 times as long.
    assert taken(400_000) < 24 * max(taken(50_000), 0.002)
