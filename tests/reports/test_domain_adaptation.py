"""The table of domain adaptation."""

import pytest
from fake_runs import write_run

from data_utils.errors import UserError
from mt_dnn.records.record import read_records
from mt_dnn.reports.domain_adaptation import to_markdown


def test_a_row_per_start_and_a_column_per_part_of_the_rows(tmp_path):
    for name, fraction, scores in (
        ("sharing", 0.1, {1: 0.5, 2: 0.7}),
        ("sharing", 1.0, {3: 0.9}),
        ("mt_dnn", 0.1, {1: 0.4}),
    ):
        for seed, score in scores.items():
            write_run(tmp_path / "da" / name, "dense", (0, 0), seed, score, task="snli", train_fraction=fraction)
    table = to_markdown(read_records([tmp_path / "da"])).splitlines()
    assert table[0] == "| task | folder | start | 10 % of the rows | 100 % of the rows |"
    assert table[2:] == ["| snli | da/mt_dnn | tiny | 40.0 |  |", "| snli | da/sharing | tiny | 60.0 ± 14.1 | 90.0 |"]


def test_runs_of_two_tickets_do_not_share_a_cell(tmp_path):
    for closed in ((2, 0), (4, 1)):
        write_run(tmp_path, "winning", closed, 1, 0.5, task="snli")
    with pytest.raises(UserError, match="tickets"):
        to_markdown(read_records([tmp_path]))


def test_two_scores_of_one_seed_do_not_share_a_cell(tmp_path):
    for folder, score in (("snli/first", 0.5), ("snli/again", 0.6)):
        write_run(tmp_path / "da" / folder, "dense", (0, 0), 1, score, task="snli")
    with pytest.raises(UserError, match="other scores for one seed"):
        to_markdown(read_records([tmp_path / "da"]))


@pytest.mark.parametrize("folder, more", [("one", {}), ("one", {"train_fraction": 0.1}), ("other", {})], ids=str)
def test_runs_of_a_task_with_other_options_do_not_share_a_table(tmp_path, folder, more):
    write_run(tmp_path / "da/one", "dense", (0, 0), 1, 0.5, task="snli", epochs=3)
    write_run(tmp_path / "da" / folder, "dense", (0, 0), 2, 0.5, task="snli", epochs=4, **more)
    write_run(tmp_path / "da/one", "dense", (0, 0), 1, 0.5, task="scitail", epochs=5)  # another task may have others
    with pytest.raises(UserError, match="epochs 3 and 4"):
        to_markdown(read_records([tmp_path / "da"]))
