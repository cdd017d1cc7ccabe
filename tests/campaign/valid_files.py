"""Valid files of every kind, made once by the commands themselves, and put back after every edit."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import toy
import toy_tasks
from calls import ROOT

TASKS = """
sst:
  kind: classification
  labels: ["0", "1"]
  metrics: [accuracy]
  text: [sentence]
  label: label
  splits: {train: SST-2/train.tsv, dev: SST-2/dev.tsv, test: {file: SST-2/test.tsv, label: null}}
rte:
  kind: classification
  labels: [not_entailment, entailment]
  metrics: [accuracy]
  head_dropout: 0.2
  text: [sentence1, sentence2]
  label: label
  splits: {train: RTE/train.tsv, dev: RTE/dev.tsv}
stsb:
  kind: regression
  metrics: [pearson, spearman]
  text: [sentence1, sentence2]
  label: score
  splits: {train: STS-B/train.tsv, dev: STS-B/dev.tsv}
cola:
  kind: classification
  labels: ["0", "1"]
  metrics: [matthews]
  text: [3]
  label: 1
  columns: 4
  splits: {train: CoLA/train.tsv, dev: CoLA/dev.tsv}
"""
RUN = (
    "--data_dir data --task_def tasks.yml --init_checkpoint encoder --device cpu --precision float32 --epochs 1 "
    "--batch_size 32 --learning_rate 5e-3"
)
PREPRO = "prepro.py --raw_dir raw --task_def tasks.yml --init_checkpoint encoder --max_seq_len 64"
TRAIN = f"train.py {RUN} --train_datasets sst"
REWIND = f"rewind.py {RUN} --train_datasets sst"
REPORT, MULTI_TASK = "mt_dnn/reports/__main__.py", "mt_dnn/reports/multi_task.py"
COLLECT = "mt_dnn/records/collect.py"
EXPORT, PREDICT = "mt_dnn/export/__main__.py", "mt_dnn/predict.py"
WINNING = "checkpoints/sst/masks/winning/heads_6_ffns_1.json"
TICKET = "runs/winning/heads_6_ffns_1/seed_2018"

COMMANDS = {  # what a case calls; `new` is not there yet
    "prepro": f"{PREPRO} --data_dir data --tasks sst",
    "prepro rte": f"{PREPRO} --data_dir data --tasks rte",
    "prepro stsb": f"{PREPRO} --data_dir data --tasks stsb",
    "prepro cola": f"{PREPRO} --data_dir data --tasks cola",
    "prepro new": f"{PREPRO} --data_dir new/data --tasks sst",
    "train": f"{TRAIN} --do_train --do_mask --output_dir new",
    "train rte": f"train.py {RUN} --train_datasets rte --do_train --output_dir new",
    "mask": f"{TRAIN} --do_train --do_mask --sparsities 0.2 --output_dir checkpoints/sst",
    "resume": f"{TRAIN} --do_train --checkpoint_minutes 0 --output_dir stopped",
    "rewind": f"{REWIND} --masks {WINNING} --output_dir new",
    "rewind all": f"{REWIND} --masks checkpoints/sst/masks --output_dir new",
    "rewind again": f"{REWIND} --masks {WINNING} --output_dir runs --save_model",
    "share": f"rewind.py {RUN} --train_datasets sst,rte --masks merged.json --output_dir new",
    "merge": "construct_mtl_mask.py --checkpoints checkpoints --super_tickets super_tickets.yml --output new.json",
    "report": f"{REPORT} runs --output_dir new",
    "report scores": f"{REPORT} checkpoints/sst --output_dir new",
    "report records": f"{REPORT} collected --output_dir new",
    "multi_task": f"{MULTI_TASK} shared --output_dir new",
    "collect": f"{COLLECT} runs --output new",
    "collect more": f"{COLLECT} runs checkpoints/sst --output collected",
    "export": f"{EXPORT} {TICKET} --output new",
    "export compact": f"{EXPORT} export_compact --output new",
    "predict": f"{PREDICT} {TICKET} --input rows.tsv --output new.tsv",
    "predict older": f"{PREDICT} older --input rows.tsv --output new.tsv",
    "predict pairs": f"{PREDICT} checkpoints/rte --input pairs.tsv --output new.tsv",
    "predict zeroed": f"{PREDICT} export_zeroed --input rows.tsv --output new.tsv",
    "predict compact": f"{PREDICT} export_compact --input rows.tsv --output new.tsv",
    "predict several": f"{PREDICT} shared/winning/merged/seed_2018 --task sst --input rows.tsv --output new.tsv",
    "submit": f"{PREDICT} {TICKET} --glue_format --raw_dir raw --task_def tasks.yml --output new.zip",
}

ALONE = {  # without flags
    "prepro.py": "prepro.py",
    "train.py": "train.py",
    "rewind.py": "rewind.py",
    "construct_mtl_mask.py": "construct_mtl_mask.py",
    "mt_dnn.reports": REPORT,
    "mt_dnn.reports.multi_task": MULTI_TASK,
    "mt_dnn.records.collect": COLLECT,
    "mt_dnn.export": EXPORT,
    "mt_dnn.predict": PREDICT,
}


def write_files(folder, server):
    """Fill `folder`: encoder, raw rows, task file, and all that the commands make of them."""
    toy.save_encoder(folder / "encoder")
    toy_tasks.write_sst(folder / "raw", rows=96)
    toy_tasks.write_rte(folder / "raw", rows=64)
    toy_tasks.write_stsb(folder / "raw", rows=40)
    toy_tasks.write_cola(folder / "raw", rows=40)
    (folder / "tasks.yml").write_text(TASKS)
    (folder / "rows.tsv").write_text("sentence\na lovely film\na dull day\n")
    (folder / "pairs.tsv").write_text("sentence1\tsentence2\na lovely film\twe saw boats\na dull day\tbirds at sea\n")
    counts = "{heads: 6, ffns: 1}"
    (folder / "super_tickets.yml").write_text(f"sst: {counts}\nrte: {counts}\nstsb: null\n")
    rules = (ROOT / "experiments/glue/submission.yml").read_text().replace("1821", "10")  # rows of the toy test set
    (folder / "experiments/glue").mkdir(parents=True)
    (folder / "experiments/glue/submission.yml").write_text(rules)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "train.py").touch()  # scripts look for it to find the repository's root
    screen = folder.parent / "made.txt"
    made = [
        f"{PREPRO} --data_dir data",
        f"{TRAIN} --do_train --do_mask --sparsities 0.2 0.5 --output_dir checkpoints/sst",
        f"train.py {RUN} --train_datasets rte --do_train --do_mask --sparsities 0.5 --output_dir checkpoints/rte",
        f"{REWIND} --masks {WINNING} checkpoints/sst/masks/dense --save_model --output_dir runs",
        "construct_mtl_mask.py --checkpoints checkpoints --super_tickets super_tickets.yml --output merged.json",
        f"rewind.py {RUN} --train_datasets sst,rte --masks merged.json --save_model --output_dir shared",
        f"{COLLECT} runs checkpoints/sst --output collected",
        f"{EXPORT} {TICKET} --format zeroed --output export_zeroed",
        f"{EXPORT} {TICKET} --format compact --output export_compact",
    ]
    status = server.call([shlex.split(command) for command in made], folder, screen)
    assert status == 0, screen.read_text()
    shutil.copytree(folder / TICKET / "model", folder / "older")  # whose fingerprints were removed
    (folder / "older/SHA256SUMS").unlink()
    stopped = shlex.split(f"{TRAIN} --do_train --log_per_updates 1 --checkpoint_minutes 0 --output_dir stopped")
    assert server.call([stopped], folder, screen, die_at=14) == -9
    assert list(folder.glob("stopped/checkpoint/update_*/sha256")), screen.read_text()


class ValidFiles:
    """The files in `folder`. A case edits them; `restore()` puts them back."""

    def __init__(self, folder, server):
        self.folder, self.server = folder, server
        folder.mkdir()
        write_files(folder, server)
        self.whole = tree(folder)

    def call(self, command, more=""):
        """Call one of COMMANDS, or of ALONE, with more flags; return status, out, err."""
        out, err = (self.folder.parent / name for name in ("out.txt", "err.txt"))
        for file in (out, err):
            file.write_bytes(b"")
        more = shlex.split(more) if isinstance(more, str) else more
        script, *flags = shlex.split({**COMMANDS, **ALONE}[command]) + more
        status = self.server.call([[script, *flags]], self.folder, out, err)
        return SimpleNamespace(status=status, out=out.read_text(), err=err.read_text())

    def run_script(self, name, *arguments):
        """Call a shell script as a user does; return status, out, err."""
        ended = subprocess.run(["sh", self.folder / name, *arguments], capture_output=True, text=True, env=SCRIPT_ENV)
        return SimpleNamespace(status=ended.returncode, out=ended.stdout, err=ended.stderr)

    def restore(self):
        for path, found in tree(self.folder).items():
            if self.whole.get(path, False) != found:
                remove(self.folder / path)
        for path, whole in self.whole.items():
            if whole is None:
                (self.folder / path).mkdir(parents=True, exist_ok=True)
            elif not (self.folder / path).exists():
                (self.folder / path).write_bytes(whole)


def tree(folder):
    """{path below `folder`: content of the file, where a link leads, or None for a folder}."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            found[os.path.relpath(path, folder)] = (
                os.readlink(path) if os.path.islink(path) else None if name in folders else content(path)
            )
    return found


def content(path, known={}):  # noqa: B006
    """The bytes of a file, which are read once until it changes."""
    stat = os.stat(path)
    state = stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino
    if known.get(path, (None,))[0] != state:
        known[path] = state, Path(path).read_bytes()
    return known[path][1]


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


SCRIPT_ENV = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
