"""YAML for people, read without a guess."""

import pytest

from data_utils.errors import UserError
from data_utils.yaml_file import read_yaml


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("a: {kind: x}\nb: {}\na: {}\n", ":3: not readable as YAML: 'a' stands here twice, expected every name once"),
        ("1: {heads: 3}\n", ":1: not readable as YAML: '1' as a name is no text, expected a name in letters, or in"),
        ("a: 1\nnull: {heads: 3}\n", ":2: not readable as YAML: 'null' as a name is no text"),
        ("a: {yes: 3}\n", ":1: not readable as YAML: 'yes' as a name is no text"),
        ("? [a, b]\n: 1\n", ":1: not readable as YAML: a list or mapping as a name is no text"),
        ("a: 2021-99-99\n", ": not readable as YAML: month must be in 1..12"),
        ("a: " + "[" * 5000 + "]" * 5000, ": nested too deep, expected at most 50 levels"),
        ("a: " + "[" * 51 + "]" * 51, ": nested too deep, expected at most 50 levels"),
        ("a: " + "9" * 5000, ": a whole number of 5000 digits, expected one of at most 64 bits"),
        ("a: [0, 1_0]", ":1: not readable as YAML: 1_0 stands for the number 10, expected that number, or quotes"),
        ("a: 010", ":1: not readable as YAML: 010 stands for the number 8, expected that number, or quotes"),
        ("a: 1:30", ":1: not readable as YAML: 1:30 stands for the number 90, expected that number, or quotes"),
        ("a: .nan", ": nan, expected a finite number"),
        ("a: [-.inf]", ": -inf, expected a finite number"),
        ('a: ["\\ud800"]', r": '\ud800', expected text that UTF-8 can encode"),
        ("a: [", ":1: not readable as YAML: "),
        ("a: !!python/object:os.system x", ":1: not readable as YAML: could not determine a constructor"),
        ("a: 1\nb: \a\n", ":2: not readable as YAML: unacceptable character #x0007"),
        ("- a", ": no entries, expected `name: {}`"),
        ("", ": no entries, expected `name: {}`"),
    ],
)
def test_unusable_yaml_is_refused_with_one_line(tmp_path, text, complaint):
    path = tmp_path / "a.yml"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        read_yaml(path, "`name: {}`")
    assert str(refused.value).startswith(f"{path}{complaint}")


def test_names_in_quotes_numbers_and_shared_entries_are_read(tmp_path):
    path = tmp_path / "a.yml"
    path.write_text("'1': &one {heads: 3, ffns: [+1, -2, 0]}\n'null': *one\nb: {<<: *one, heads: 4}\n")
    one = {"heads": 3, "ffns": [1, -2, 0]}
    assert read_yaml(path, "`name: {}`") == {"1": one, "null": one, "b": {**one, "heads": 4}}


def test_an_entry_that_holds_itself_does_not_hang_the_reader(tmp_path):
    path = tmp_path / "a.yml"
    path.write_text("a: &a [*a, 1]\n")
    entry = read_yaml(path, "`name: {}`")["a"]
    assert entry[0] is entry and entry[1] == 1
