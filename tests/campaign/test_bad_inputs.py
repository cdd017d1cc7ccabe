"""Bad input is one line, whatever it is and wherever it comes in: bad_inputs.yml lists what is tried.

The files are valid (valid_files.py), then one of them is edited (edits.py), or a flag is wrong. The command must say so
in one line on standard error, with status 2, and leave the disk as it was.
"""

import fnmatch
from pathlib import Path

import pytest
import yaml
from edits import edit, every_key, parent, read, steps
from fork_server import ForkServer
from valid_files import COMMANDS, ValidFiles, tree

pytestmark = pytest.mark.slow

TABLE = yaml.safe_load((Path(__file__).parent / "bad_inputs.yml").read_text())
REMOVED = object()
OTHER_SPLITS = {"prepro": "data", "prepro new": "new"}  # where prepro.py writes the splits that have no fault


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    server = ForkServer()
    yield ValidFiles(tmp_path_factory.mktemp("campaign") / "files", server)
    server.close()


@pytest.fixture
def files(made):
    yield made
    made.restore()


def refused(files, ended, before, *pieces, status=2, made=""):
    """Assert that a command ended with one line that has `pieces`, and changed nothing but the folder `made`."""
    lines = ended.err.splitlines()
    assert ended.status == status and len(lines) == 1, f"status {ended.status}\n{ended.out[-500:]}\n{ended.err[-3000:]}"
    assert ": error: " in ended.err and "Traceback" not in ended.err, ended.err
    assert len(ended.err) < 1000, ended.err
    for piece in pieces:
        assert piece in ended.err, (piece, ended.err)
    after = tree(files.folder)
    changed = {path for path in after.keys() | before.keys() if after.get(path, 0) != before.get(path, 0)}
    assert {path.split("/")[0] for path in changed} <= {made}


def test_the_files_are_valid_before_they_are_edited(files):
    for command in COMMANDS:
        ended = files.call(command)
        assert ended.status == 0, (command, ended.err)
        files.restore()


# ---- edits of files ----


def edits():
    """(command, file, edits before and after, edit, piece of the line) for each row of the table."""
    for group in TABLE["edits"]:
        for row in group["rows"]:
            *change, piece = row
            name = f"{group['command']}: {group['file']}: {' '.join(map(repr, change))}"
            more = group.get("also"), group.get("then")
            yield pytest.param(group["command"], group["file"], *more, change, piece, id=printable(name))


def printable(name):
    return name.encode("ascii", "backslashreplace").decode().replace("[", "(").replace("]", ")")[:150]


@pytest.mark.parametrize("command, file, also, then, change, piece", edits())
def test_an_edited_file_is_one_line(files, command, file, also, then, change, piece):
    if also:
        edit(files.folder, *also)
    edit(files.folder, file, *change)
    if then:
        edit(files.folder, *then)
    before = tree(files.folder)
    refused(files, files.call(command), before, piece, made=OTHER_SPLITS.get(command, ""))


def keys(files, group, right=False):
    """(key, name of the edit, edit) for each key of a file and each edit of it that is bad, or those that are right."""
    content, taken = read(files.folder / group["file"]), group.get("taken", {})
    for key in every_key(content):
        if any(fnmatch.fnmatch(key, pattern) for pattern in group.get("but", ())):
            continue
        *above, last = steps(content, key)
        for name, value in {**TABLE["every_key"]["values"], "removed": REMOVED}.items():
            is_taken = any(fnmatch.fnmatch(key, pattern) and name in taken[pattern] for pattern in taken)
            if is_taken == right and parent(content, above)[last] != value:
                yield key, name, ("remove", key) if value is REMOVED else ("set", key, value)


@pytest.mark.parametrize("group", TABLE["every_key"]["files"], ids=lambda group: f"{group['command']}: {group['file']}")
def test_every_key_of_a_file_is_checked(files, group):
    faults, tried = [], 0
    if "also" in group:
        edit(files.folder, *group["also"])
    changes = list(keys(files, group))
    files.restore()
    for key, name, change in changes:
        if "also" in group:
            edit(files.folder, *group["also"])
        edit(files.folder, group["file"], *change)
        if "then" in group:
            edit(files.folder, *group["then"])
        before, ended = tree(files.folder), files.call(group["command"])
        try:
            made = OTHER_SPLITS.get(group["command"], "")
            refused(files, ended, before, naming(key, change, ended.err), made=made)
        except AssertionError as fault:
            faults.append(f"{key}, {name}: {fault}")
        tried += 1
        files.restore()
    assert not faults and tried, "\n".join(faults)


@pytest.mark.parametrize(
    "group",
    [group for group in TABLE["every_key"]["files"] if "taken" in group],
    ids=lambda group: f"{group['command']}: {group['file']}",
)
def test_what_is_right_all_the_same_is_taken(files, group):
    changes, taken = list(keys(files, group, right=True)), group["taken"]
    for pattern, names in taken.items():
        tried = {name for key, name, _ in changes if fnmatch.fnmatch(key, pattern)}
        assert set(names) <= tried, f"{pattern}: of {names} only {tried} are edits"
    refusals = []
    for key, name, change in changes:
        edit(files.folder, group["file"], *change)
        if "then" in group:
            edit(files.folder, *group["then"])
        ended = files.call(group["command"])
        if ended.status:
            refusals.append(f"{key}, {name}: {ended.err}")
        files.restore()
    assert not refusals, "\n".join(refusals)


def naming(key, change, line):
    """What names the cause in `line`: the key, the one above it, or the value, which may be wrong only beside another
    file; or that the file has another fingerprint.
    """
    *_, above, last = ["", *(part for part in key.split(".") if not part.isdigit())]
    pieces = last, above or last, str(change[-1]), "fingerprint"
    return next((piece for piece in pieces if piece in line), last)


# ---- flags ----


@pytest.mark.parametrize(
    "command, flags, piece",
    [pytest.param(*row, id=printable(f"{row[0]} {row[1]}")) for row in TABLE["flags"]],
)
def test_a_wrong_flag_is_one_line(files, command, flags, piece):
    before = tree(files.folder)
    refused(files, files.call(command, flags), before, piece)


def values():
    for group in TABLE["values"]:
        for command in group["commands"]:
            for flag, bad in group["flags"].items():
                yield pytest.param(command, flag, bad, id=f"{command} {flag}")


@pytest.mark.parametrize("command, flag, bad", values())
def test_a_value_that_a_flag_does_not_take_is_one_line(files, command, flag, bad):
    before = tree(files.folder)
    for value in bad:
        refused(files, files.call(command, [f"{flag}={value}"]), before, flag)


def test_a_run_that_fails_is_one_line_in_its_folder_too(files):
    before = tree(files.folder)
    ended = files.call("train", "--learning_rate 1e30")
    refused(files, ended, before, "the loss is ", "expected a number", status=1, made="new")
    assert (files.folder / "new/failed.txt").read_text().strip() in ended.err


# ---- scripts ----


@pytest.mark.parametrize(
    "script, arguments, piece",
    [pytest.param(*row, id=printable(" ".join([row[0], *row[1]]))) for row in TABLE["scripts"]],
)
def test_a_script_that_is_called_wrongly_is_one_line(files, script, arguments, piece):
    before = tree(files.folder)
    ended = files.run_script(script, *arguments)
    lines = ended.err.splitlines()
    assert ended.status == 2 and len(lines) == 1 and piece in lines[0], ended
    assert tree(files.folder) == before
