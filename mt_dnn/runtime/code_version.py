"""Which code a run was made with."""

import functools
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


@functools.cache
def code_version() -> str | None:
    """Return the commit of this repository, as 62ae6251bd29, or 62ae6251bd29-modified if files differ from it.

    The commit is read once per process. Returns None without git, or without .git.
    """
    command = ["git", f"--git-dir={ROOT / '.git'}", f"--work-tree={ROOT}", "describe", "--always", "--exclude=*"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        ended = subprocess.run(
            [*command, "--abbrev=12", "--dirty=-modified"], env=environment, capture_output=True, text=True
        )
    except OSError:  # there is no git
        return None
    return ended.stdout.strip() if ended.returncode == 0 else None
