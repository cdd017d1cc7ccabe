"""Expectations of what a file holds."""

import math

import pytest

from data_utils.check import (
    BOOLEAN,
    NULL,
    TEXT,
    both,
    check,
    either,
    fields,
    fits,
    integer,
    list_of,
    mapping_of,
    number,
    one_of,
    value_that,
)
from data_utils.errors import UserError

TICKET = fields(
    {
        "kind": one_of("winning", "random"),
        "heads": mapping_of(list_of(integer(0, 3), distinct=True), name=one_of("0", "1")),
        "score": number(-1, 1),
    },
    optional={"note": either(TEXT, NULL), "kept": BOOLEAN},
)
GOOD = {"kind": "winning", "heads": {"0": [1, 3], "1": []}, "score": 0.5, "note": None, "kept": True}


def test_what_is_as_expected_passes():
    check(TICKET, GOOD, "mask.json")
    check(TICKET, {key: GOOD[key] for key in ("kind", "heads", "score")}, "mask.json")


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"kind": "wining"}, "mask.json: kind: 'wining', expected one of winning, random"),
        ({"kind": ["winning"]}, "mask.json: kind: ['winning'], expected one of winning, random"),
        ({"heads": []}, "mask.json: heads: [], expected `one of 0, 1: a list, each a whole number from 0 to 3`"),
        ({"heads": {"0": [1, 4]}}, "mask.json: heads.0[1]: 4, expected a whole number from 0 to 3"),
        ({"heads": {"0": [1, True]}}, "mask.json: heads.0[1]: True, expected a whole number from 0 to 3"),
        ({"heads": {"0": [1, 1]}}, "mask.json: heads.0[1]: 1 a second time, expected every value once"),
        ({"heads": {"2": []}}, "mask.json: heads: '2', expected one of 0, 1"),
        ({"score": 2}, "mask.json: score: 2, expected a number from -1 to 1"),
        ({"score": "0.5"}, "mask.json: score: '0.5', expected a number from -1 to 1"),
        ({"score": math.nan}, "mask.json: score: nan, expected a number from -1 to 1"),
        ({"score": True}, "mask.json: score: True, expected a number from -1 to 1"),
        ({"note": 3}, "mask.json: note: 3, expected text or null"),
        ({"knd": 3}, "mask.json: knd: unknown key, expected some of: kind, heads, score, note, kept"),
    ],
)
def test_the_first_misfit_is_one_line_with_file_key_found_and_expected(change, complaint):
    with pytest.raises(UserError) as refused:
        check(TICKET, {**GOOD, **change}, "mask.json")
    assert str(refused.value) == complaint


def test_a_missing_key_is_named_with_what_it_should_hold():
    with pytest.raises(UserError, match="^m: heads.kind: missing, expected one of winning, random$"):
        check(fields({"heads": TICKET}), {"heads": {}}, "m")


def test_a_second_expectation_is_asked_only_where_the_first_holds():
    sorted_list = both(list_of(integer()), value_that("ascending whole numbers", lambda value: value == sorted(value)))
    assert fits(sorted_list, [1, 2]) and not fits(sorted_list, [2, 1]) and not fits(sorted_list, [1, "2"])


def test_a_long_value_is_cut_in_the_line():
    with pytest.raises(UserError) as refused:
        check(TEXT, [["a" * 1000] * 1000] * 1000, "m", "labels")
    assert len(str(refused.value)) < 8 * 9 * 130
