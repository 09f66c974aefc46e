import pytest

from ingest.errors import RefusedError
from ingest.parse.encoding import decode, is_binary
from ingest.parse.text import parse

GERMAN = "Straße und Größe, Übung macht den Meister. "
JAPANESE = "東京は日本の首都であり、世界でも有数の大都市である。"
RUSSIAN = "Маяк стоит на берегу моря и светит кораблям в темноте. "


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"],
)
@pytest.mark.parametrize("repeat", [1, 50])
def test_western_text_is_read_in_the_encodings_it_comes_in(encoding, repeat):
    text = GERMAN * repeat
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "text", ["“quoted” – it’s €5", "naïve café", "¿Qué? ¡Mañana!", "Ein Größenwahn", "25 °C ± 1"]
)
def test_a_few_windows_characters_are_enough(text):
    assert decode(text.encode("cp1252")) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(JAPANESE, "shift_jis"), (JAPANESE, "euc_jp"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r")],
)
def test_other_scripts_are_told_by_their_statistics(text, encoding):
    assert decode((text * 20).encode(encoding)) == text * 20


def test_a_few_broken_bytes_do_not_cost_the_letters_around_them():
    broken = "Größe, Maß, Übung, Straße ".encode() * 10 + b"\xff end"
    assert decode(broken) == "Größe, Maß, Übung, Straße " * 10 + "\ufffd end"


def test_one_broken_byte_in_an_ascii_text_does_not_cost_the_text():
    assert decode(b"The light is lit at dusk. " * 20 + b"\x81 end").endswith(" end")


def test_a_cut_off_utf16_text_is_read_to_where_it_ends():
    assert decode("words".encode("utf-16")[:-1]).startswith("word")


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 8, b"\x00\x01\x02\x03" * 100, b"text" + b"\0" * 40, b"\0" * 9]
)
def test_binary_data_is_refused(data):
    assert is_binary(data)
    with pytest.raises(RefusedError, match="binary"):
        decode(data)


def test_ascii_with_many_escapes_is_not_binary():
    assert not is_binary(b"\x1b[31mred\x1b[0m \x08\x08" * 10)


def test_terminal_escapes_are_taken_out_of_logs():
    assert (
        parse(b"ok \x1b[2J\x1b]0;owned\x07\x1b[1;31mred\x1b[0m \x1b]8;;x\x1b\\end").text
        == "ok red end"
    )


def test_plain_text_has_no_title():
    assert parse(b"First line\n\nSecond").title == ""
