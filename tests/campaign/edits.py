"""Edits of valid files, as bad_inputs.yml names them: how a file becomes a bad one."""

import copy
import json
import shutil

import yaml
from valid_files import remove

from mt_dnn.tickets.scores import fingerprint


def edit(folder, file, kind, *arguments):
    """Apply the edit `kind` of EDITS to `file` below `folder`."""
    EDITS[kind](folder / file, *arguments)


def set_key(path, key, value):
    content = read(path)
    *above, last = steps(content, key)
    parent(content, above)[last] = value
    write(path, content)


def remove_key(path, key):
    content = read(path)
    *above, last = steps(content, key)
    del parent(content, above)[last]
    write(path, content)


def replace(path, old, new):
    """Replace the first `old`. Letters up to ÿ stand for bytes, so that \\xff is a byte that UTF-8 does not have."""
    content = path.read_bytes().decode("latin-1")
    assert old in content, f"{path}: no {old!r}"
    path.write_bytes(content.replace(old, new, 1).encode("latin-1"))


def flip(path, part):
    """Flip a bit of the byte that lies this part of the file (0 to 1) behind its start."""
    content = bytearray(path.read_bytes())
    content[int(part * len(content))] ^= 4
    path.write_bytes(content)


def in_place_of(path, other):
    """Another file or folder takes the place of this one."""
    remove(path)
    other = path.parent / other
    (shutil.copytree if other.is_dir() else shutil.copy)(other, path)


def renew_fingerprint(path):
    """Give edited importance scores the fingerprint of what they are now."""
    content = read(path)
    write(path, {**content, "sha256": fingerprint(content)})


EDITS = {
    "renew fingerprint": renew_fingerprint,
    "set": set_key,
    "remove": remove_key,
    "replace": replace,
    "flip": flip,
    "cut": lambda path, part: path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)]),
    "append": lambda path, text: path.write_bytes(path.read_bytes() + text.encode("latin-1")),
    "text": lambda path, text: path.write_bytes(text.encode("latin-1")),
    "repeat": lambda path, text, times: path.write_text(text * times),
    "delete": remove,
    "folder": lambda path: (remove(path), path.mkdir()),
    "file": lambda path: (remove(path), path.touch()),
    "link": lambda path, target: (remove(path), path.symlink_to(target)),
    "other": in_place_of,
}


# ---- content of JSON and YAML, and its keys: tickets.sst.ffns.0 ----


def read(path):
    text = path.read_text()
    if path.suffix == ".jsonl":
        return json.loads(text.splitlines()[0])
    return yaml.safe_load(text) if path.suffix == ".yml" else json.loads(text)


def write(path, content):
    if path.suffix == ".jsonl":
        _, _, rest = path.read_text().partition("\n")
        path.write_text(json.dumps(content) + "\n" + rest)
    else:
        path.write_text(yaml.safe_dump(content) if path.suffix == ".yml" else json.dumps(content))


def steps(content, key):
    """The keys and places that lead to `key`, names with dots among them."""
    found, left = [], key
    while left:
        if isinstance(content, list):
            name, _, left = left.partition(".")
            found.append(int(name))
        else:
            known = [name for name in content if left == name or left.startswith(f"{name}.")]
            name = max(known, key=len) if known else left
            found.append(name)
            left = left.removeprefix(name).removeprefix(".")
        if left:
            content = content[found[-1]]
    return found


def parent(content, above):
    for step in above:
        content = content[step]
    return content


def every_key(content, above=""):
    """All keys of `content`, those inside others too; of a list its first place stands for all."""
    entries = content.items() if isinstance(content, dict) else list(enumerate(content))[:1]
    for name, value in entries:
        key = f"{above}.{name}" if above else str(name)
        yield key
        if isinstance(value, (dict, list)):
            yield from every_key(copy.copy(value), key)
