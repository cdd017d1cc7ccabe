"""download.sh against a local server that knows the official archives' layouts."""

import functools
import http.server
import os
import signal
import subprocess
import threading
import time
import zipfile
from pathlib import Path

import pytest
import toy
import toy_tasks
from calls import ROOT, files_up_to

from data_utils.tasks import read_tasks

ARCHIVES = {
    "CoLA": "CoLA.zip",
    "SST-2": "SST-2.zip",
    "STS-B": "STS-B.zip",
    "QQP": "QQP-clean.zip",
    "MNLI": "MNLI.zip",
    "QNLI": "QNLIv2.zip",
    "RTE": "RTE.zip",
    "WNLI": "WNLI.zip",
}


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves files, goes on in the middle where asked to, and keeps what was asked for."""

    asked = []
    breaks_at = None  # after so many bytes the connection breaks
    refuses_with = None  # a status that every file is refused with
    instead = {}  # {path: what is sent in place of the file}

    def do_GET(self):
        Server.asked.append((self.path, self.headers.get("Range")))
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        if Server.refuses_with:
            return self.send_error(Server.refuses_with)
        content, begin = Server.instead.get(self.path, path.read_bytes()), 0
        if wanted := self.headers.get("Range"):
            begin = int(wanted.removeprefix("bytes=").split("-")[0])
            if begin >= len(content):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        self.wfile.write(content[begin : Server.breaks_at])

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder served on a local port, with everything download.sh asks for: `.folder`, `.url`."""
    raw, folder = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("site")
    toy_tasks.write_glue(raw)
    for task, archive in ARCHIVES.items():
        with zipfile.ZipFile(folder / archive, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted((raw / task).iterdir()):
                file.write(path, f"{task}/{path.name}")
    for archive, task, inside in (
        ("snli_1.0.zip", "SNLI", "snli_1.0"),
        ("SciTailV1.1.zip", "SciTail", "SciTailV1.1/tsv_format"),
    ):
        with zipfile.ZipFile(folder / archive, "w") as file:
            for path in sorted((raw / task).iterdir()):
                file.write(path, f"{inside}/{path.name}")
    (folder / "AX.tsv").write_bytes((raw / "AX/AX.tsv").read_bytes())
    head = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
    (folder / "msr_paraphrase_train.txt").write_text(
        head + "".join(f"{i % 2}\t{i}\t{i + 100}\t\" it 's a film\ta film {i}\r\n" for i in range(10)), newline=""
    )
    (folder / "msr_paraphrase_test.txt").write_text(
        head + "1\t50\t51\tthe sea\ta sea\r\n0\t52\t53\tboats\tbirds\r\n", newline=""
    )
    (folder / "mrpc_dev_ids.tsv").write_text("3\t103\n7\t107\n")
    toy.save_encoder(folder / "resolve")
    for name in ("tiny-bert", "someone/tiny-bert"):
        (folder / name / "resolve").mkdir(parents=True)
        os.symlink(folder / "resolve", folder / name / "resolve" / "main")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield type("Site", (), {"folder": folder, "url": f"http://127.0.0.1:{server.server_port}"})
    server.shutdown()


def download(site, *arguments, url=None):
    """Run download.sh by a POSIX shell; return (status, output, what the server was asked for)."""
    Server.asked.clear()
    address = url or site.url
    environment = {
        **os.environ,
        **{name: address for name in ("GLUE_URL", "MRPC_URL", "SNLI_URL", "SCITAIL_URL", "HF_ENDPOINT")},
        "no_proxy": "127.0.0.1",
    }
    ended = subprocess.run(
        ["sh", "download.sh", *map(str, arguments)], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    return ended.returncode, ended.stdout + ended.stderr, list(Server.asked)


def test_everything_arrives_and_prepro_takes_it(site, tmp_path, cli):
    names = "cola sst mrpc stsb qqp mnli qnli rte wnli ax snli scitail".split()
    status, output, _ = download(site, tmp_path, *names, "tiny-bert", "someone/tiny-bert")
    assert status == 0, output
    assert (tmp_path / "encoders/someone/tiny-bert/model.safetensors").exists()
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".zip", ".part") or path.name.startswith(".")]
    paths = ("--raw_dir", tmp_path / "glue", "--data_dir", tmp_path / "data")
    ended = cli("prepro.py", *paths, "--init_checkpoint", tmp_path / "encoders/tiny-bert", "--max_seq_len", 64)
    assert ended.status == 0, ended.err
    tasks = read_tasks(ROOT / "experiments/glue/glue_task_def.yml").values()
    assert len(ended.out.splitlines()) == sum(1 + len(task.dev_sets) for task in tasks)
    assert all((tmp_path / "glue" / layout.file).is_file() for task in tasks for layout in task.splits.values())
    status, output, asked = download(site, tmp_path, "rte", "mrpc", "mnli", "tiny-bert")
    assert status == 0 and not asked and "glue/RTE: in place" in output


def test_mrpc_is_split_by_the_list_of_dev_pairs(site, tmp_path):
    assert download(site, tmp_path, "mrpc")[0] == 0
    read = {split: (tmp_path / f"glue/MRPC/{split}.tsv").read_text().splitlines() for split in ("train", "dev", "test")}
    assert [line.split("\t")[1] for line in read["dev"]] == ["#1 ID", "3", "7"]
    assert [line.split("\t")[1] for line in read["train"]] == ["#1 ID", "0", "1", "2", "4", "5", "6", "8", "9"]
    assert read["dev"][1] == "1\t3\t103\t\" it 's a film\ta film 3"
    assert read["test"] == [
        "index\t#1 ID\t#2 ID\t#1 String\t#2 String",
        "0\t50\t51\tthe sea\ta sea",
        "1\t52\t53\tboats\tbirds",
    ]


def test_a_broken_off_download_goes_on_where_it_stopped(site, tmp_path, monkeypatch):
    monkeypatch.setattr(Server, "breaks_at", 1000)
    status, output, _ = download(site, tmp_path, "mnli")
    assert status == 1 and "not complete: mnli" in output and (tmp_path / "glue/MNLI.zip.part").stat().st_size == 1000
    monkeypatch.setattr(Server, "breaks_at", None)
    status, output, asked = download(site, tmp_path, "mnli")
    assert status == 0, output
    assert asked[0] == ("/MNLI.zip", "bytes=1000-") and len([path for path, _ in asked if path == "/MNLI.zip"]) == 1


def test_two_calls_do_not_write_into_the_same_part(site, tmp_path):
    lock = tmp_path / ".download_lock"
    lock.symlink_to("elsewhere:7")
    status, output, asked = download(site, tmp_path, "rte")
    assert status == 2 and not asked and lock.is_symlink()
    assert output == (
        f"download.sh: error: {tmp_path}: another call downloads into it (elsewhere:7, computer and process); "
        f"wait for it, or remove {lock} if it was killed\n"
    )
    lock.unlink()
    assert download(site, tmp_path, "rte")[0] == 0 and not lock.is_symlink()
    assert download(site, tmp_path, "nothing")[0] == 1 and not lock.is_symlink()


def test_a_call_whose_output_nobody_reads_leaves_no_lock(site, tmp_path):
    command = ["sh", "-c", f"sh download.sh {tmp_path} nothing rtee rtee | true"]
    environment = {**os.environ, "HF_ENDPOINT": site.url, "no_proxy": "127.0.0.1"}
    subprocess.run(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, check=True)
    assert (tmp_path / "encoders").is_dir()  # it had begun
    assert not (tmp_path / ".download_lock").is_symlink()


@pytest.mark.parametrize("sent, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_call_leaves_no_lock(tmp_path, monkeypatch, sent, status):
    lock, curl = tmp_path / "data/.download_lock", tmp_path / "curl"
    curl.write_text("#!/bin/sh\necho runs > runs\nexec sleep 60\n")
    curl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    process = subprocess.Popen(
        ["sh", ROOT / "download.sh", "data", "rte"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(sent, signal.SIG_DFL),  # a command in the background ignores Ctrl-C
    )
    while not (tmp_path / "runs").exists():
        assert process.poll() is None
        time.sleep(0.01)
    assert lock.is_symlink()
    os.killpg(process.pid, sent)
    assert process.wait(30) == status and not lock.is_symlink()


def test_a_part_stays_where_the_server_fails_for_a_while(site, tmp_path, monkeypatch):
    part, content = tmp_path / "glue/RTE.zip.part", (site.folder / "RTE.zip").read_bytes()
    part.parent.mkdir()
    part.write_bytes(content[:1000])
    monkeypatch.setattr(Server, "refuses_with", 403)  # at 503 curl would wait and ask again
    assert download(site, tmp_path, "rte")[0] == 1 and part.read_bytes() == content[:1000]
    monkeypatch.setattr(Server, "refuses_with", None)
    status, output, asked = download(site, tmp_path, "rte")
    assert status == 0 and asked == [("/RTE.zip", "bytes=1000-")], output


def test_a_whole_part_or_a_damaged_one_is_fetched_anew(site, tmp_path):
    (tmp_path / "glue").mkdir()
    (tmp_path / "glue/RTE.zip.part").write_bytes((site.folder / "RTE.zip").read_bytes())
    status, _, asked = download(site, tmp_path, "rte")
    assert status == 0 and asked[-1] == ("/RTE.zip", None)
    (tmp_path / "glue/WNLI.zip.part").write_bytes(b"damaged")
    status, output, _ = download(site, tmp_path, "wnli")
    assert status == 1 and "WNLI.zip: the archive is damaged" in output and "error: not complete: wnli" in output
    assert not (tmp_path / "glue/WNLI").exists()
    assert download(site, tmp_path, "wnli")[0] == 0


def test_without_a_network_the_address_and_the_way_by_hand_are_named(site, tmp_path):
    status, output, _ = download(site, tmp_path, "rte", "mrpc", "tiny-bert", url="http://127.0.0.1:9")
    assert status == 1
    for wanted in (
        "http://127.0.0.1:9/RTE.zip",
        f"put train.tsv, dev.tsv, test.tsv into {tmp_path}/glue/RTE",
        "http://127.0.0.1:9/msr_paraphrase_train.txt",
        "http://127.0.0.1:9/tiny-bert/resolve/main/tokenizer.json",
        "not complete: rte mrpc tiny-bert",
    ):
        assert wanted in output
    assert not (tmp_path / "glue/RTE").exists()


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("/RTE.zip", "rte"),
        ("/AX.tsv", "ax"),
        ("/mrpc_dev_ids.tsv", "mrpc"),
        ("/tiny-bert/resolve/main/config.json", "tiny-bert"),
        ("/tiny-bert/resolve/main/model.safetensors", "tiny-bert"),
    ],
)
def test_the_page_of_a_proxy_is_refused_whatever_it_comes_for(site, tmp_path, monkeypatch, wanted, name):
    page = b"<!DOCTYPE html>\n<html>\nLog in, please.\n</html>\n"
    monkeypatch.setattr(Server, "instead", {wanted: page})
    status, output, _ = download(site, tmp_path, name)
    assert status == 1 and f"{wanted}: a web page came" in output and f"{wanted}: no usable download; by hand" in output
    assert not (tmp_path / "encoders/tiny-bert/config.json").exists()  # by which the scripts know a whole encoder
    monkeypatch.setattr(Server, "instead", {})
    assert download(site, tmp_path, name)[0] == 0
    assert not any(page in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_list_that_names_no_pair_of_mrpc_is_refused(site, tmp_path, monkeypatch):
    monkeypatch.setattr(Server, "instead", {"/mrpc_dev_ids.tsv": b"busy, come again\n"})
    status, output, _ = download(site, tmp_path, "mrpc")
    assert status == 1 and "/mrpc_dev_ids.tsv: no usable download; by hand" in output
    monkeypatch.setattr(Server, "instead", {})
    assert download(site, tmp_path, "mrpc")[0] == 0
    assert len((tmp_path / "glue/MRPC/dev.tsv").read_text().splitlines()) == 3


def test_an_archive_stays_where_unpacking_fails_and_is_not_fetched_again(site, tmp_path):
    (tmp_path / "glue").mkdir()
    archive = tmp_path / "glue/RTE.zip"
    archive.write_bytes((site.folder / "RTE.zip").read_bytes())
    with files_up_to(100):
        status, output, _ = download(site, tmp_path, "rte")
    assert status == 1 and f"{archive}: not unpacked: OSError" in output and "damaged" not in output
    assert sorted(path.name for path in (tmp_path / "glue").iterdir()) == ["RTE.zip"]
    status, output, asked = download(site, tmp_path, "rte")
    assert status == 0 and not asked and not archive.exists()


def test_an_archive_stays_where_python_does_not_run(site, tmp_path, monkeypatch):
    archive, python = tmp_path / "data/glue/RTE.zip", tmp_path / "python3"
    archive.parent.mkdir(parents=True)
    archive.write_bytes((site.folder / "RTE.zip").read_bytes())
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    status, output, asked = download(site, tmp_path / "data", "rte")
    assert status == 2 and "no python3 that runs" in output and not asked and archive.exists()


def test_a_forgotten_folder_gives_the_usage(site):
    for argument in ("rte", "--help", "bert-large-uncased", "sentence-transformers/all-MiniLM-L6-v2"):
        status, output, asked = download(site, argument)
        assert status == 2 and "usage: sh download.sh [DIR] [NAME...]" in output and not asked


def test_an_unknown_name_is_said_to_be_neither_task_nor_encoder(site, tmp_path):
    status, output, _ = download(site, tmp_path, "rtee")
    assert status == 1 and "'rtee' is taken for an encoder of the hub; the tasks are: cola sst" in output
