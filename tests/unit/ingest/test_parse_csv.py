import pytest

from ingest.errors import RefusedError
from ingest.parse.csv_table import parse


def lines(text: str) -> list[str]:
    return parse(text.encode()).text.split("\n")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_each_row_names_its_columns(delimiter):
    table = "Name,City,Note\nAda,London,x\nGrace,,y\n".replace(",", delimiter)
    assert lines(table) == ["Name: Ada; City: London; Note: x", "Name: Grace; Note: y"]


def test_decimal_commas_do_not_hide_semicolons():
    assert lines("Name;Height\nCordouan;67,5\nBell Rock;35,3\n") == [
        "Name: Cordouan; Height: 67,5",
        "Name: Bell Rock; Height: 35,3",
    ]


def test_quoted_delimiters_and_line_ends_stay_in_their_cells():
    assert lines('Name,Note\n"Rock, Bell","two\nlines ""here"""\n') == [
        'Name: Rock, Bell; Note: two lines "here"'
    ]


@pytest.mark.parametrize("first", ["1,2", "2024-01-05,x", "a,a", "50%,b", "€ 3,b"])
def test_a_first_row_of_values_is_no_header(first):
    head = " | ".join(first.split(","))
    assert lines(f"{first}\nb,c\n") == [head, "b | c"]


def test_a_single_row_is_no_header():
    assert lines("a,b\n") == ["a | b"]


def test_an_index_column_without_a_name_is_kept():
    assert lines(",Name\n0,Ada\n1,Grace\n") == ["0; Name: Ada", "1; Name: Grace"]


def test_rows_of_uneven_length_lose_nothing():
    assert lines("a,b\n1\n1,2,3\n\n") == ["a: 1", "a: 1; b: 2; 3"]


def test_a_declared_separator_is_taken():
    assert lines("sep=;\r\na;b\r\n1,5;2\r\n") == ["a: 1,5; b: 2"]


def test_a_list_of_lines_is_a_table_of_one_column():
    assert lines("Name\nAda\nGrace\n") == ["Name: Ada", "Name: Grace"]


def test_formulas_are_text():
    assert lines('name,v\n"=HYPERLINK(""x"")",1\n') == ['name: =HYPERLINK("x"); v: 1']


def test_a_quote_that_is_never_closed_is_refused():
    with pytest.raises(RefusedError, match="quote left open"):
        parse(b'a,b\n"' + b"x" * 200_000)


def test_other_encodings_are_read():
    assert "Größe: Maß" in parse("Größe,b\nMaß,2\n".encode("utf-16")).text


def test_a_first_row_too_long_to_repeat_names_no_columns():
    text = parse(f"{'x' * 300},b\n1,2\n".encode()).text
    assert text.count("x" * 300) == 1
