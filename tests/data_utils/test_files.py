"""Files and folders are written whole or not at all, also through links and on a full disk."""

import errno
import fcntl
import os
import pickle
import traceback
from pathlib import Path

import pytest
import torch
from calls import files_up_to

from data_utils import files
from data_utils.errors import NoSuchFile, UserError
from data_utils.files import (
    alone_in,
    find,
    make_folder,
    remove_left_overs,
    save_tensors,
    sha256,
    write_folder_whole,
    write_whole,
)
from data_utils.json_file import read_json, write_json


def write_folder(folder, content, name="a.txt"):
    with write_folder_whole(folder) as beside:
        (beside / name).write_text(content)


def test_after_an_exception_the_older_file_and_folder_are_as_they_were(tmp_path):
    (tmp_path / "file").write_text("old")
    write_folder(tmp_path / "folder", "old")
    with pytest.raises(KeyboardInterrupt), write_whole(tmp_path / "file") as file:
        file.write("new")
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), write_folder_whole(tmp_path / "folder") as beside:
        (beside / "a.txt").write_text("new")
        raise KeyboardInterrupt
    assert (tmp_path / "file").read_text() == (tmp_path / "folder/a.txt").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_file_is_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch):
    """Else it can be empty after a power cut."""
    done = []
    for name in ("fsync", "replace", "rename"):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, call=call: (done.append(name), call(*args))[1])
    write_json(tmp_path / "file", {})
    write_folder(tmp_path / "folder", "new")
    assert done == ["fsync", "replace", "fsync", "rename"]


def test_a_pipe_that_a_link_leads_to_is_written(tmp_path):
    reader, writer = os.pipe()
    (tmp_path / "stdout").symlink_to(f"/proc/self/fd/{writer}")
    write_json(tmp_path / "stdout", {"a": 1})
    os.close(writer)
    with open(reader) as file:
        assert file.read() == '{\n  "a": 1\n}\n'
    assert (tmp_path / "stdout").is_symlink()


@pytest.mark.parametrize("read", [sha256, lambda path: read_json(path, "a mask")])
def test_an_error_of_the_disk_while_a_file_is_read_names_it(read):
    with pytest.raises(OSError) as raised:
        read("/proc/self/mem")  # opens, and gives an error where it is read
    assert raised.value.filename == "/proc/self/mem"


@pytest.mark.parametrize("folders_can_be_locked", [True, False])
def test_one_process_at_a_time_is_alone_in_a_folder(tmp_path, monkeypatch, folders_can_be_locked):
    def flock(descriptor, operation, lock=fcntl.flock):
        if not folders_can_be_locked and os.path.isdir(f"/proc/self/fd/{descriptor}"):  # as on NFS
            raise OSError(errno.EBADF, "Bad file descriptor")
        lock(descriptor, operation | fcntl.LOCK_NB)

    monkeypatch.setattr("fcntl.flock", flock)
    locked = tmp_path / ("" if folders_can_be_locked else ".lock")
    with alone_in(tmp_path):
        other = os.open(locked, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX)
    fcntl.flock(other, fcntl.LOCK_EX)
    os.close(other)


def test_a_folder_written_anew_keeps_nothing_of_the_older_one(tmp_path):
    write_folder(tmp_path / "folder", "old", "old.txt")
    write_folder(tmp_path / "folder", "new")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["a.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_link_stays_a_link_and_what_it_leads_to_is_written(tmp_path):
    disk = tmp_path / "disk"
    write_folder(disk / "model", "old", "old.txt")
    (tmp_path / "model").symlink_to(disk / "model")
    (tmp_path / "new").symlink_to("disk/new")
    (tmp_path / "file").symlink_to(disk / "file")
    for name in ("model", "new"):
        write_folder(tmp_path / name, "new")
        assert (tmp_path / name).is_symlink()
        assert [path.name for path in (disk / name).iterdir()] == ["a.txt"]
    write_json(tmp_path / "file", {"a": 1})
    assert (tmp_path / "file").is_symlink() and not (disk / "file").is_symlink()
    assert (disk / "file").read_text() == '{\n  "a": 1\n}\n'
    assert sorted(path.name for path in disk.iterdir()) == ["file", "model", "new"]


def test_a_link_to_a_disk_that_is_not_there_is_refused(tmp_path):
    (tmp_path / "model").symlink_to(tmp_path / "disk/model")
    for write in (write_whole, write_folder_whole):
        with pytest.raises(UserError, match="model: a link to .*/disk/model, expected .*/disk to be there"):
            with write(tmp_path / "model"):
                pass
    (tmp_path / "checkpoints").symlink_to(tmp_path / "disk/mine")
    (tmp_path / "data").symlink_to(tmp_path / "nothing")
    with pytest.raises(UserError, match="^[^ ]*/checkpoints: a link to .*/disk/mine, expected .*/disk to be there"):
        make_folder(tmp_path / "checkpoints/bert/rte")
    with pytest.raises(UserError, match="^[^ ]*/data: a link that leads nowhere, expected a folder"):
        make_folder(tmp_path / "data/rte")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "data", "model"]


def test_a_device_is_written_and_not_replaced():
    with write_whole("/dev/null") as file:
        file.write("x")
    assert Path("/dev/null").is_char_device()


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="file: a file, expected a folder, or nothing of that name"):
        write_folder(tmp_path / "file", "new")
    for path in (tmp_path / "file/below/it", tmp_path / "file/below", tmp_path / "file"):
        with pytest.raises(UserError, match=f"^{tmp_path}/file: a file, expected a folder, or nothing of that name$"):
            make_folder(path)
    with pytest.raises(UserError, match=f"^{tmp_path}/file: a file, expected a folder"):
        write_json(tmp_path / "file/a.json", {})
    with pytest.raises(UserError, match="a folder, expected the name of a file"):
        write_json(tmp_path, {})
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, workshop):
    def fill(name, write):
        with files_up_to(1000), write_folder_whole(tmp_path / "folder") as beside:
            write(beside / name)

    long = "a" * 9000
    for name, write, place in (
        ("text", lambda path: path.write_text(long), "folder"),
        ("whole", lambda path: write_json(path, {"a": long}), "folder/whole"),
        (
            "model.safetensors",
            lambda path: save_tensors(path, {"a": torch.zeros(9000)}, {}),
            "folder/model.safetensors",
        ),
        ("tokenizer", lambda path: workshop.tokenizer.save_pretrained(path), "folder"),
        ("tokenizer.json", lambda path: workshop.tokenizer.backend_tokenizer.save(str(path)), "folder"),
    ):
        with pytest.raises(OSError) as full:
            fill(name, write)
        assert full.value.filename == str(tmp_path / place) and full.value.strerror == "File too large"
        assert list(tmp_path.iterdir()) == []


def test_text_that_utf_8_does_not_have_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a.json: '\\ud800' can't be written, expected text that UTF-8 can encode"):
        write_json(tmp_path / "a.json", {"label": "x\ud800"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["a folder", "a file"])
def test_what_a_killed_process_left_beside_its_place_goes_when_that_is_written_anew(tmp_path, what):
    child = os.fork()
    if not child:
        try:
            if what == "a file":
                with write_whole(tmp_path / "file") as file:
                    file.write("half")
                    os._exit(9)
            with write_folder_whole(tmp_path / "folder") as beside:
                (beside / "a.txt").write_text("half")
                os._exit(9)
        finally:  # else an error would make the child go on with the tests
            os._exit(9)
    os.waitpid(child, 0)
    assert len(list(tmp_path.iterdir())) == 1
    if what == "a file":
        write_json(tmp_path / "file", {})
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
        return
    with write_folder_whole(tmp_path / "folder"):
        remove_left_overs(tmp_path)  # not those of a process that is still there
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def in_children(*works):
    """Do each of `works` in a process of its own, at once; return their statuses."""
    children = []
    for work in works:
        if not (child := os.fork()):
            try:
                work()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:  # else an error would make the child go on with the tests
                os._exit(1)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def test_several_processes_that_write_one_folder_leave_that_of_one_of_them(tmp_path):
    def write(content):
        for _ in range(100):
            write_folder(tmp_path / "folder", content)

    assert in_children(*(lambda name=name: write(name) for name in "abc")) == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (tmp_path / "folder/a.txt").read_text() in ("a", "b", "c")


def test_what_another_container_is_writing_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_machine", lambda: "1234abcd-4026531836")
    ended = 2**22 + 1  # no process has this number
    for machine in ("1234abcd-4026531836", "1234abcd-4026532999"):
        (tmp_path / f".folder.{machine}.{ended}.part").mkdir()
    remove_left_overs(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f".folder.1234abcd-4026532999.{ended}.part"]


def test_an_error_of_a_missing_file_reaches_other_processes():
    error = pickle.loads(pickle.dumps(NoSuchFile("a.json", "the options of a run")))
    assert str(error) == "a.json: no such file, expected the options of a run" and error.path == Path("a.json")


def test_a_folder_that_can_not_be_read_is_no_empty_one(tmp_path, monkeypatch):
    for name in ("a", "b"):
        write_json(tmp_path / name / "result.json", {})
    scandir = os.scandir

    def failing(error):
        def scan(path):
            if Path(path).name == "a":
                raise OSError(error, os.strerror(error), str(path))
            return scandir(path)

        return scan

    monkeypatch.setattr(os, "scandir", failing(errno.ESTALE))
    with pytest.raises(OSError, match="Stale file handle"):
        find(tmp_path, "result.json")
    monkeypatch.setattr(os, "scandir", failing(errno.ENOENT))  # it was removed meanwhile
    assert find(tmp_path, "result.json") == [tmp_path / "b/result.json"]


def test_files_are_found_by_the_end_of_their_path(tmp_path):
    for name in ("b/seed_1/result.json", "a/result.json", "a/checkpoint/result.json", ".a.part/result.json", "x.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [tmp_path / "a/result.json", tmp_path / "b/seed_1/result.json"]
    assert find(tmp_path, "result.json") == found
    for link, to in (("a/again", "b"), ("b/above", ".")):
        (tmp_path / link).symlink_to(tmp_path / to)
    assert find(tmp_path, "result.json") == found
    assert find(tmp_path / "a", "result.json") == [tmp_path / "a/again/seed_1/result.json", tmp_path / "a/result.json"]
