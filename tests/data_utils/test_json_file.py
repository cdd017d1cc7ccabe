"""JSON for people, written and read back."""

import json
import math

import pytest

from data_utils.errors import UserError
from data_utils.json_file import read_json, write_json

CONTENT = {
    "labels": ["[ neg ]", "[\n  pos,\n  x ]", "a, b", '"', "\\"],
    "checkpoint": "runs/enc [ 1 ]/model",
    "scores": [[0.25, 1e-7], [1, -3]],
    "tickets": {"rte": {"heads": {"0": [3, 7]}, "ffns": []}, "müller": {}},
    "parts": [{"a": [1]}, []],
    "none": None,
    "whole": True,
}


def test_strings_that_look_like_lists_are_read_back_as_they_were(tmp_path):
    write_json(tmp_path / "a.json", CONTENT)
    assert read_json(tmp_path / "a.json", "a test") == CONTENT


def test_a_list_of_plain_values_is_one_line(tmp_path):
    write_json(tmp_path / "a.json", {"heads": {"0": [3, 7], "5": ["a", "b"]}, "ffns": [], "rows": [[1, 2], [3]]})
    assert (tmp_path / "a.json").read_text() == (
        '{\n  "heads": {\n    "0": [3, 7],\n    "5": ["a", "b"]\n  },\n  "ffns": [],\n'
        '  "rows": [\n    [1, 2],\n    [3]\n  ]\n}\n'
    )


def test_numbers_that_are_not_finite_are_never_written(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"loss": math.nan})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text, complaint",
    [
        ('{"a": 1, "b": {"0": [1], "0": [2]}}', ": '0' stands twice in one object, expected every key once"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", ": nested too deep, expected at most 50 levels"),
        ('{"a": ' + "[" * 51 + "]" * 51 + "}", ": nested too deep, expected at most 50 levels"),
        ('{"a": ' + "9" * 5000 + "}", ": a whole number of 5000 digits, expected one of at most 64 bits"),
        ('{"a": 9223372036854775808}', ": a whole number of 19 digits, expected one of at most 64 bits"),
        ('{"a": NaN}', ": NaN, expected a finite number"),
        ('{"a": [-Infinity]}', ": -Infinity, expected a finite number"),
        ('{"a": 1e999}', ": 1e999, expected a finite number"),
        ('{"a": "\\ud800"}', r": '\ud800', expected text that UTF-8 can encode (half of a surrogate pair can't be)"),
        ('{"\\udfff": 1}', r": '\udfff', expected text that UTF-8 can encode (half of a surrogate pair can't be)"),
        ('{\n  "kind": "win', ":2: not JSON (Unterminated string starting at), expected a test"),
        ("[1]", ": a JSON list, expected a test as an object"),
    ],
)
def test_unusable_json_is_refused_with_one_line(tmp_path, text, complaint):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        read_json(path, "a test")
    assert str(refused.value) == f"{path}{complaint}"


def test_what_is_no_text_file_is_refused_with_what_was_expected(tmp_path):
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    for name, complaint in (
        ("latin.json", "not UTF-8 text, expected a test as JSON"),
        ("none.json", "no such file, expected a test as JSON"),
        ("latin.json/x.json", f"{tmp_path}/latin.json is no folder, expected a test as JSON"),
        ("", "a folder, expected a test as JSON"),
    ):
        with pytest.raises(UserError) as refused:
            read_json(tmp_path / name, "a test")
        assert str(refused.value) == f"{tmp_path / name}: {complaint}"


def test_pairs_of_surrogates_and_large_numbers_are_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": "\\ud83d\\ude00", "b": [9223372036854775807, true, -1.5e300]}')
    assert read_json(tmp_path / "a.json", "a test") == json.loads((tmp_path / "a.json").read_text())
