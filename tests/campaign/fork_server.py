"""Does commands in forked processes, so that a test can start and kill many of them without loading torch each time."""

import gc
import importlib
import importlib.util
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[2]


class ForkServer:
    """A process that has loaded torch, transformers and our code, and forks for every call."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, commands, folder, out, err=None, **more):
        """Do `commands`, [[script, flag, ...], ...], one after another in `folder`; return the status.

        `out`, `err`: files for what they print, together if `err` is left out. `stdin`: a file to read. `processes`:
        so many do them together, with the environment that torchrun gives. With `kill_after` seconds all are killed
        then. With `die_at` n a process kills itself at the n-th time that it syncs, renames or removes a file, just
        before (n odd) or after it.
        """
        commands = [list(map(str, command)) for command in commands]
        call = {"commands": commands, "folder": str(folder), "out": str(out), "err": str(err or out), **more}
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def serve():
    load_all()
    for line in sys.stdin:
        call = json.loads(line)
        processes, port = call.get("processes", 1), free_port()
        children = [fork(call, rank, processes, port) for rank in range(processes)]
        statuses = wait(children, call.get("kill_after", float("inf")))
        print(next(filter(None, statuses), 0), flush=True)


def load_all():
    sys.path.insert(0, str(ROOT))
    import matplotlib.figure  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import torch
    import transformers.models.bert  # noqa: F401
    from transformers import AutoConfig, AutoTokenizer, BertModel, BertTokenizerFast  # noqa: F401

    for package in ("data_utils", "mt_dnn"):
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if not module.name.endswith(".__main__"):
                importlib.import_module(module.name)
    from mt_dnn.export import export_table

    export_table.TIMING_SECONDS = 0.01  # exports are timed for a moment only
    torch.set_num_threads(1)
    gc.freeze()


def fork(call, rank, processes, port):
    child = os.fork()
    if child:
        return child
    os.chdir(call["folder"])
    for number, file in enumerate((call.get("stdin", os.devnull), call["out"], call["err"])):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
    if processes > 1:
        as_torchrun = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
        as_torchrun |= {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "none"}
        os.environ.update({name: str(value) for name, value in as_torchrun.items()})
    if "die_at" in call:
        die_at(call["die_at"])
    status = 1
    try:
        status = do(call["commands"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)


def wait(children, kill_after):
    """Return the statuses of the processes `children`. Kill them after so many seconds, and where one has failed."""
    deadline, statuses = time.monotonic() + kill_after, {}
    while len(statuses) < len(children):
        if time.monotonic() >= deadline or any(statuses.values()):
            for child in set(children) - set(statuses):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
        for child in set(children) - set(statuses):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                statuses[child] = os.waitstatus_to_exitcode(status)
    return [statuses[child] for child in children]


def do(commands):
    from data_utils.cli import run_main

    for script, *flags in commands:
        sys.argv = [script, *flags]
        spec = importlib.util.spec_from_file_location("cli", ROOT / script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        try:
            run_main(module.main)
        except SystemExit as ended:
            if ended.code:
                return ended.code
    return 0


def die_at(n):
    left = n

    def deadly(function):
        def call(*args, **more):
            nonlocal left
            left -= 1
            if left == 0 and n % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return function(*args, **more)
            finally:
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    for name in ("fsync", "replace", "rename", "unlink", "rmdir"):
        setattr(os, name, deadly(getattr(os, name)))


def free_port():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


if __name__ == "__main__":
    serve()
