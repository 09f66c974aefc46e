import socket

import pytest

from ingest.parse.language import SAMPLE, detect_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The lighthouse stands on a rock.", "en"),
        ("Das ist ein kurzer Satz.", "de"),
        ("Le phare de Cordouan est très beau.", "fr"),
        ("La casa es grande y muy bonita.", "es"),
        ("Dit is een korte zin over een toren.", "nl"),
        ("To jest krótkie zdanie o wieży.", "pl"),
        ("Маяк стоит на высокой скале.", "ru"),
        ("東京は日本の首都です", "ja"),
        ("这是一个简短的句子", "zh"),
        ("이것은 짧은 문장입니다", "ko"),
        ("المنارة تقف على صخرة عالية", "ar"),
    ],
)
def test_a_sentence_is_enough(text, language):
    assert detect_language(text) == language
    assert detect_language(f"\n\n{text}\n{text}") == language


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OK",
        "2024-11-03 17.5 1,250.00",
        "def f(): return 1",
        "zxq wvk jjq pzt qqx zzk",
        "🗼" * 99,
    ],
)
def test_what_is_no_sentence_has_no_language(text):
    assert detect_language(text) is None


def test_only_the_beginning_is_looked_at():
    german = "Der Turm steht auf einem Felsen. " * (SAMPLE // 30)
    assert detect_language(german + "The tower stands on a rock. " * 1000) == "de"


def test_nothing_is_fetched(monkeypatch):
    def fail(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", fail)
    assert detect_language("The lighthouse stands on a rock.") == "en"
