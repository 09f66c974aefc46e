import json

import pytest

from ingest.errors import RefusedError
from ingest.parse import json_tree, jsonl_record


class TestTree:
    def test_every_value_stands_after_its_path(self):
        tree = {
            "title": "Lights",
            "lamps": [{"colour": "white", "on": True}, {"colour": None}],
            "n": 1.50,
        }
        parsed = json_tree.parse(json.dumps(tree).encode())
        assert parsed.text.split("\n") == [
            "title: Lights",
            "lamps[0].colour: white",
            "lamps[0].on: true",
            "n: 1.5",
        ]
        assert parsed.title == "Lights"

    def test_items_of_a_top_level_list_are_set_apart(self):
        assert (
            json_tree.parse(b'[{"a": 1, "b": 2}, {"a": 3}]').text
            == "[0].a: 1\n[0].b: 2\n\n[1].a: 3"
        )

    @pytest.mark.parametrize("number", ["1e999", "-Infinity", "NaN", "9" * 6000, "1.10", "0.1000"])
    def test_numbers_stay_as_they_were_written(self, number):
        assert json_tree.parse(f'{{"n": {number}}}'.encode()).text == f"n: {number}"

    def test_a_single_value_is_its_own_text(self):
        assert json_tree.parse(b'"just words"').text == "just words"

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
    def test_other_encodings_are_read(self, encoding):
        assert json_tree.parse('{"ä": "ö"}'.encode(encoding)).text == "ä: ö"

    def test_a_title_that_is_no_string_is_no_title(self):
        assert json_tree.parse(b'{"title": ["a"]}').title == ""

    def test_errors_say_where(self):
        with pytest.raises(RefusedError, match="line 2, column 3"):
            json_tree.parse(b'{"a": 1,\n  broken}')

    def test_json_lines_under_the_name_of_json_come_with_the_remedy(self):
        with pytest.raises(RefusedError, match=r"name the file \.jsonl"):
            json_tree.parse(b'{"a": 1}\n{"a": 2}\n')

    @pytest.mark.parametrize("depth", [json_tree.MAX_DEPTH + 1, 900, 100_000])
    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
    def test_nesting_without_end_is_refused(self, depth, opening, closing):
        with pytest.raises(RefusedError, match="nested"):
            json_tree.parse((opening * depth + "1" + closing * depth).encode())

    def test_nesting_up_to_the_limit_is_read(self):
        depth = json_tree.MAX_DEPTH - 1
        assert json_tree.parse(b"[" * depth + b"1" + b"]" * depth).text.endswith("[0]: 1")


class TestRecord:
    def test_a_record_in_the_beir_form_is_taken_as_it_is(self):
        parsed = jsonl_record.parse(
            b'{"_id": "d1", "title": "T", "text": "words", "metadata": {"year": 1811}}'
        )
        assert (parsed.text, parsed.title, parsed.metadata) == ("words", "T", {"year": 1811})

    def test_other_fields_of_one_value_join_the_metadata_and_never_replace_it(self):
        record = {"text": "x", "url": "u", "year": 1, "list": [1], "metadata": {"year": 2}}
        assert jsonl_record.parse(json.dumps(record).encode()).metadata == {"url": "u", "year": 2}

    def test_lists_of_strings_join_the_metadata_and_vectors_and_objects_do_not(self):
        record = {"text": "x", "label": ["a", "b"], "none": [], "vector": [0.5], "mixed": ["a", 1]}
        assert jsonl_record.parse(json.dumps(record).encode()).metadata == {
            "label": ["a", "b"],
            "none": [],
        }

    @pytest.mark.parametrize(
        ("metadata", "kept"), [(None, {}), ("", {}), ("words", {"metadata": "words"})]
    )
    def test_metadata_that_is_no_object_is_kept_as_one(self, metadata, kept):
        assert (
            jsonl_record.parse(json.dumps({"text": "x", "metadata": metadata}).encode()).metadata
            == kept
        )

    @pytest.mark.parametrize("title", [None, 5, ["a"]])
    def test_a_title_that_is_no_string_is_none(self, title):
        assert jsonl_record.parse(json.dumps({"text": "x", "title": title}).encode()).title == ""

    @pytest.mark.parametrize(
        "line", [b"", b"null", b"[]", b'{"text": null}', b'{"text": ["x"]}', b"{", b"\xff"]
    )
    def test_what_is_no_record_is_refused(self, line):
        with pytest.raises(RefusedError):
            jsonl_record.parse(line)

    @pytest.mark.parametrize(
        ("value", "expected"), [("a b", "a b"), (7, "7"), (0, "0"), (1.5, "1.5"), ("", None)]
    )
    def test_ids_are_strings_whatever_they_were(self, value, expected):
        assert jsonl_record.record_id({"_id": value}) == expected
