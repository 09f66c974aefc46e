import io
import zipfile
from datetime import date, datetime, time, timedelta

import openpyxl
import pytest

from ingest.errors import RefusedError, SkippedError
from ingest.normalise import normalise
from ingest.parse import lines
from ingest.parse.xlsx import parse

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def book(**sheets: list[list]) -> openpyxl.Workbook:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return made


def saved(made: openpyxl.Workbook) -> bytes:
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def with_sheet(content: str) -> bytes:
    """A real workbook whose sheet's XML was written by hand."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved(book(S=[["x"]])))) as real,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in real.namelist():
            if not name.startswith("xl/worksheets/sheet"):
                made.writestr(name, real.read(name))
        made.writestr("xl/worksheets/sheet1.xml", content)
    return buffer.getvalue()


def sheet_xml(rows: str) -> str:
    return f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'


def text_of(data: bytes) -> str:
    return normalise(parse(data).text)


def shown(value, number_format: str = "General") -> str:
    made = book(S=[[value]])
    made.active.cell(1, 1).number_format = number_format
    return text_of(saved(made)).removeprefix("# S\n\n")


def test_each_sheet_is_a_heading_and_each_row_names_its_columns():
    towers = [["Name", "Lit", "Height"], ["Bell Rock", 1811, 35.3], ["Skerryvore", 1844, None]]
    parsed = parse(saved(book(Towers=towers, Keepers=[["Name", "Since"], ["Ann", 1900]])))
    assert normalise(parsed.text) == (
        "# Towers\n\nName: Bell Rock; Lit: 1811; Height: 35.3\nName: Skerryvore; Lit: 1844\n\n"
        "# Keepers\n\nName: Ann; Since: 1900"
    )
    assert parsed.has_headings


def test_captions_stand_above_their_table_and_blank_rows_part_tables():
    rows = [["Towers"], [], ["In feet"], ["Name", "Height"], ["Bell", 115], [], [1, 2], ["a", 3]]
    assert text_of(saved(book(S=rows))) == (
        "# S\n\nTowers\n\nIn feet\nName: Bell; Height: 115\n\n1 | 2\na | 3"
    )


def test_names_above_a_blank_row_still_name_the_columns_below_it():
    rows = [["In feet", "Scotland"], [None, "Height", "Depth"], [], ["Bell", 115, 12]]
    made = saved(book(S=[*rows, ["Rock", 90, 3]]))
    assert text_of(made).endswith("Bell; Height: 115; Depth: 12\nRock; Height: 90; Depth: 3")


def test_hidden_sheets_are_left_out_and_hidden_rows_are_not():
    made = book(Seen=[["a", "b"], ["filtered", 1]], Unseen=[["unseen"]], Never=[["unseen"]])
    made["Unseen"].sheet_state = "hidden"
    made["Never"].sheet_state = "veryHidden"
    made["Seen"].row_dimensions[2].hidden = True
    assert text_of(saved(made)) == "# Seen\n\na: filtered; b: 1"


@pytest.mark.parametrize(
    ("value", "number_format", "read"),
    [
        (date(2024, 3, 5), "dd/mm/yy", "2024-03-05"),
        (datetime.fromisoformat("2024-03-05 14:30"), "yyyy-mm-dd hh:mm", "2024-03-05 14:30"),
        (date(2024, 3, 1), 'mmm "of the year"', "2024-03-01"),
        (time(9, 5), "h:mm", "9:05"),
        (timedelta(hours=26, seconds=5), "[h]:mm:ss", "26:00:05"),
        (0.1 + 0.2, "General", "0.3"),
        (1234567.891, "#,##0.00", "1234567.89"),
        (1234.5, '[$€-407] #,##0.00 "per day"', "1234.50"),
        (0.0825, "0.0%", "8.2%"),
        (0.5, "0%;[Red]-0%", "50%"),
        (12345678901234, "General", "12345678901234"),
        (1.5e-7, "0.00E+00", "1.5e-07"),
        (0.5, "# ?/?", "0.5"),
        (60, "[<100]0;0.0", "60"),
        (-1, "yyyy-mm-dd", "-1"),
        (True, "General", "TRUE"),
        ("00420", "@", "00420"),
        ("two\nlines", "General", "two lines"),
    ],
)
def test_values_read_as_they_are_shown(value, number_format, read):
    assert shown(value, number_format) == read


def test_days_count_from_1904_where_the_workbook_says_so():
    made = book(S=[[date(2024, 3, 5)]])
    made.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    assert "2024-03-05" in text_of(saved(made))


def test_formulas_stand_by_their_last_value_and_errors_by_nothing():
    rows = (
        '<row r="1"><c r="A1"><f>1+1</f><v>2</v></c><c r="B1" t="str"><f>"a"</f><v>told</v></c>'
        '<c r="C1" t="e"><f>1/0</f><v>#DIV/0!</v></c><c r="D1"><f>NOW()</f></c></row>'
    )
    assert text_of(with_sheet(sheet_xml(rows))) == "# S\n\n2 | told"


def test_inline_and_rich_strings_are_read_without_their_readings():
    inline = '<c r="B1" t="inlineStr"><is><r><t>in</t></r><r><t>line</t></r></is></c>'
    assert text_of(with_sheet(sheet_xml(f'<row r="1">{inline}</row>'))) == "# S\n\ninline"


def test_the_last_cell_of_a_sheet_costs_nothing():
    rows = (
        '<row r="1"><c r="A1"><v>1</v></c></row>'
        '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    )
    assert text_of(with_sheet(sheet_xml(rows))) == "# S\n\n1\n\n2"


def test_formatted_empty_rows_and_cells_are_no_rows():
    rows = "".join(f'<row r="{n}"><c r="A{n}" s="0"/></row>' for n in range(1, 5000))
    with pytest.raises(SkippedError, match="no values"):
        parse(with_sheet(sheet_xml(rows)))


def test_references_that_are_missing_or_broken_follow_the_cell_before():
    rows = '<row><c><v>1</v></c><c r="?"><v>2</v></c><c r="ZZZZ9"><v>3</v></c></row><row r="x"/>'
    assert text_of(with_sheet(sheet_xml(rows))) == "# S\n\n1 | 2"


def test_a_row_that_looks_like_a_heading_does_not_pass_as_one():
    assert text_of(saved(book(S=[["# 1", 2], ["# 3", 4]]))) == "# S\n\n\\# 1 | 2\n\\# 3 | 4"


def test_long_strings_repeated_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(lines, "MAX_CHARACTERS", 10_000)
    with pytest.raises(RefusedError, match="more than 10,000 characters"):
        parse(saved(book(S=[["word " * 100, n] for n in range(100)])))


def test_a_workbook_with_entities_of_its_own_is_refused():
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + sheet_xml("<row/>")
    with pytest.raises(RefusedError, match="document type or XML entities"):
        parse(with_sheet(bomb))


def test_a_locked_workbook_is_refused_for_its_password():
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
    with pytest.raises(RefusedError, match="password"):
        parse(locked)
    with pytest.raises(RefusedError, match="Office 97"):
        parse(locked[:8] + bytes(500))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_file_cut_short_is_refused(kept):
    whole = saved(book(S=[["a", "b"]]))
    with pytest.raises(RefusedError, match="damaged or cut short"):
        parse(whole[: int(len(whole) * kept)])


def test_damaged_xml_is_refused_by_the_name_of_its_part():
    with pytest.raises(RefusedError, match="'xl/worksheets/sheet1.xml' is damaged"):
        parse(with_sheet(sheet_xml("<row>")[:-20]))
