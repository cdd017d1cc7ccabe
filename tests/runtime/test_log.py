"""What a command prints and logs where standard output is closed, full, not in UTF-8, or no longer read."""

import os
import subprocess
import sys
import textwrap

import pytest
from calls import ROOT

from data_utils.cli import one_line, run_main

TALK = """
    import sys
    sys.path.insert(0, {root!r})
    from pathlib import Path
    from data_utils.cli import run_main
    from mt_dnn.runtime.log import log, log_command, logging_to, print_line

    def main():
        with logging_to(Path("log.txt")):
            for number in range(1000):
                log.info("line %d: %s", number, "na\\u00efve \\u2192 \\u5b57 \\udcff")
        for number in range(1000):
            print_line("the end \\u2192")
        Path("done").write_text("done")

    run_main(main)
"""


def talk(folder, stdout=subprocess.PIPE, close=False, **environment):
    """Run a command that logs and prints much; return how it ended."""
    (folder / "talk.py").write_text(textwrap.dedent(TALK).format(root=str(ROOT)))
    return subprocess.run(
        ["sh", "-c", f'exec "$0" talk.py {">&-" * close}', sys.executable],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        encoding="latin-1",
    )


def test_an_error_line_shows_what_can_not_be_seen_as_escapes():
    assert one_line("a\n  b\r\nc") == "a b c"
    assert one_line("no\u00a0break\x1b[0m \u200b") == r"no\xa0break\x1b[0m \u200b"
    assert one_line("na\u00efve \u5b57") == "na\u00efve \u5b57"


def test_a_fault_of_ours_keeps_its_traceback():
    def fault():
        raise KeyError("ours")

    with pytest.raises(KeyError):
        run_main(fault)


def test_a_full_standard_output_is_one_line(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:
        ended = talk(tmp_path, full)
    assert ended.returncode == 2 and not (tmp_path / "done").exists()
    assert ended.stderr == "talk.py: error: standard output: No space left on device\n"


def test_a_closed_standard_output_does_no_harm(tmp_path):
    ended = talk(tmp_path, close=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    log = (tmp_path / "log.txt").read_text()
    assert log.count("\n") == 1000 and "the end" not in log  # no file got the number of standard output


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    ended = talk(tmp_path, writer)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_a_terminal_that_lacks_characters_gets_escapes_and_the_log_gets_the_characters(tmp_path):
    ended = talk(tmp_path, PYTHONIOENCODING="latin-1")
    assert (ended.returncode, ended.stderr) == (0, "") and (tmp_path / "done").exists()
    assert "\\u2192 \\u5b57 \\udcff" in ended.stdout
    assert "naïve → 字 \\udcff" in (tmp_path / "log.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name, value", [("TORCHELASTIC_RUN_ID", "none"), ("LOCAL_RANK", "1"), ("RANK", "1")])
def test_a_variable_of_torchrun_that_is_left_in_the_shell_does_no_harm(tmp_path, name, value):
    ended = talk(tmp_path, **{name: value})
    assert (ended.returncode, ended.stderr) == (0, "") and ended.stdout.count("the end") == 1000
