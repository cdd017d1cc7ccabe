"""Does commands in forked processes, so that a test can start and kill many of them without loading torch each time.

A line of standard input is {"commands": [[script, flag, ...], ...], "folder": working folder, ...}. A forked process
does the commands one after another; when it has ended its status is printed. With "kill_after": seconds it is killed
then. With "die_at": n it kills itself at the n-th time that it syncs, renames or removes a file, just before (n odd)
or after it.
"""

import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import matplotlib.pyplot  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.metrics  # noqa: F401
import torch
import transformers.models.bert  # noqa: F401
from transformers import AutoConfig, AutoTokenizer, BertModel, BertTokenizerFast  # noqa: F401

from data_utils.door import open_door
from mt_dnn.runs.session import Session  # noqa: F401

torch.set_num_threads(1)


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


def do(commands):
    for script, *flags in commands:
        sys.argv = [script, *flags]
        spec = importlib.util.spec_from_file_location("door", ROOT / script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        try:
            open_door(module.main)
        except SystemExit as ended:
            if ended.code:
                return ended.code
    return 0


for line in sys.stdin:
    call = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(call["folder"])
        screen = os.open("screen.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(screen, 1), os.dup2(screen, 2)
        if "die_at" in call:
            die_at(call["die_at"])
        status = 1
        try:
            status = do(call["commands"])
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(status)
    deadline = time.monotonic() + call.get("kill_after", float("inf"))
    ended, status = 0, 0
    while not ended:
        if time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
        ended, status = os.waitpid(child, os.WNOHANG)
    print(os.waitstatus_to_exitcode(status), flush=True)
