"""README.md and docs/ as data: their fenced blocks, shell commands, inline code, links and headings."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *ROOT.glob("CONTRIBUTING.md")]
FENCE = re.compile(r"(?ms)^( *)```(\w*)\n(.*?)^\1```$")


@dataclass(frozen=True)
class Fence:
    """A fenced block: its language ("" for none), its text without the indentation, its first line's number."""

    language: str
    text: str
    line: int


def fences(page, section=""):
    """Return the fenced blocks of a page, or of the section with that heading."""
    text = page.read_text(encoding="utf-8")
    start = text.index(f"\n## {section}\n") if section else 0
    end = text.find("\n## ", start + 1) if section else -1
    return [
        Fence(found[2], re.sub(rf"(?m)^{found[1]}", "", found[3]), text.count("\n", 0, found.start(3)) + 1)
        for found in FENCE.finditer(text, start, end if end > 0 else len(text))
    ]


def added_files():
    """Return the files that diffs on the pages add."""
    diffs = [fence.text for page in PAGES for fence in fences(page) if fence.language == "diff"]
    return {file for diff in diffs for file in re.findall(r"(?m)^--- /dev/null\n\+\+\+ b/(.*)$", diff)}


def prose(page):
    """Return a page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def inline_code(page):
    """Return the `code spans` of a page's prose, each on one line."""
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose(page))]


def links(page):
    """Return the targets of a page's links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", prose(page)))


def anchors(page):
    """Return the anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_shell(fence):
    """Whether a block holds commands: it says bash, or it has no language and begins with a command."""
    first = fence.text.strip().splitlines()[0] if fence.text.strip() else ""
    begins = re.match(r"(\./|sh |bash |python |pip |git |echo |torchrun |sbatch |[A-Z_]+=)", first)
    return fence.language in ("bash", "sh") or (not fence.language and bool(begins))


def shell_commands(page, section=""):
    """Return the simple commands of a page, or of one section, as lists of words, in their order, its variables filled
    in.

    Pipelines, lists and loops are taken apart; redirections, comments and here-documents are left out.
    """
    variables, commands = {}, []
    for fence in filter(is_shell, fences(page, section)):
        text = re.sub(r"(?s)<<'(\w+)'(.*?)\n(.*?)\n\1\n", r"\2\n", fence.text).replace("\\\n", " ")
        for line in text.splitlines():
            for name, value in variables.items():
                line = line.replace(f"${name}", value)
            for command in _simple_commands(line):
                if len(command) == 1 and (found := re.fullmatch(r"(?s)([A-Z_]+)=(.*)", command[0])):
                    variables[found[1]] = found[2]
                else:
                    commands.append(command)
    return commands


def _simple_commands(line):
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    commands, skip = [[]], False
    for word in lexer:
        if skip:
            skip = False
        elif set(word) <= set("<>"):
            skip = True
        elif set(word) <= set(";|&"):
            commands.append([])
        elif word not in ("do", "done"):
            commands[-1].append(word)
    return [command for command in commands if command and command[0] != "for"]
