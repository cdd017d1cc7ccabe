"""Call commands in processes of their own, and measure them: seconds and peak memory."""

import subprocess
import sys
import time
from pathlib import Path

from data_utils.errors import RunFailed

ROOT = Path(__file__).resolve().parents[2]

# Linux counts a parent's memory for its child, so a small process starts the one that is measured.
_PEAK = (
    "import resource, subprocess, sys; status = subprocess.call(sys.argv[1:]); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(status)"
)


def timed(*command: object, checkout: Path = ROOT) -> tuple[float, float]:
    """Run a Python script, or `-m` a module, of a checkout of this repository; return (seconds, peak memory in MB).

    Raises RunFailed with the script's last line if it fails.
    """
    words = list(map(str, command))
    started = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", _PEAK, sys.executable, *words],
        cwd=checkout,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    *said, peak = ended.stdout.splitlines()
    if ended.returncode:
        raise RunFailed(f"{checkout}: {' '.join(words)}: {said[-1] if said else ended.returncode}")
    return time.perf_counter() - started, int(peak) * (1 if sys.platform == "darwin" else 1024) / 1e6


def seconds_until(text: str, *command: object) -> float:
    """Run a command of this repository until its output has `text`; return the seconds.

    Raises RunFailed if the command ends without it.
    """
    words = list(map(str, command))
    started, line = time.perf_counter(), ""
    with subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            if text in line:
                process.kill()
                return time.perf_counter() - started
    raise RunFailed(f"{' '.join(words)}: {line.strip()}")
