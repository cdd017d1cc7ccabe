"""A page made of headings, paragraphs, lists, tables and pictures, as Markdown and as one self-contained HTML file."""

import base64
import contextlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from data_utils.files import write_whole
from data_utils.markdown import markdown_table

HERE = Path(__file__).parent


@dataclass
class Heading:
    kind: ClassVar[str] = "heading"
    text: str
    level: int = 2

    def markdown(self) -> str:
        return f"{'#' * self.level} {self.text}"


@dataclass
class Paragraph:
    kind: ClassVar[str] = "paragraph"
    text: str

    def markdown(self) -> str:
        return self.text


@dataclass
class Bullets:
    kind: ClassVar[str] = "bullets"
    lines: list[str]

    def markdown(self) -> str:
        return "\n".join(f"- {line}" for line in self.lines)


@dataclass
class Table:
    """`rows`: lists of strings, one per column; `note`: a line below it.

    In HTML, numbers stand to the right, paths are small and may break after a slash. A rule separates
    groups of rows with the same first cell.
    """

    kind: ClassVar[str] = "table"
    columns: list[str]
    rows: list[list[str]]
    note: str = ""

    def markdown(self) -> str:
        table = markdown_table(self.columns, self.rows)
        return f"{table}\n\n{self.note}" if self.note else table

    @property
    def cell_attributes(self) -> list[dict[str, str]]:
        """The HTML attributes of every column's cells."""
        return [self._attributes([row[at] for row in self.rows]) for at in range(len(self.columns))]

    @staticmethod
    def _attributes(cells: list[str]) -> dict[str, str]:
        if all(re.match(r"[-+<]? ?\d|$", cell) for cell in cells):
            return {"class": "number"}
        return {"class": "path"} if any("/" in cell for cell in cells) else {}

    @property
    def group_starts(self) -> set[int]:
        """The rows whose first cell differs from the one above, in a table whose first cells repeat."""
        firsts = [row[0] for row in self.rows]
        if len(set(firsts)) == len(firsts):
            return set()
        return {at for at in range(1, len(firsts)) if firsts[at] != firsts[at - 1]}


@dataclass
class Picture:
    """`svg`: the bytes of an SVG, which HTML holds inside the page.

    Markdown, which can't, shows the `file` beside it, or names the figure.
    """

    kind: ClassVar[str] = "picture"
    svg: bytes
    caption: str
    file: str = ""

    def markdown(self) -> str:
        return f"![{self.caption}]({self.file})" if self.file else f"*Figure in the HTML page: {self.caption}*"

    @property
    def encoded(self) -> str:
        return base64.b64encode(self.svg).decode()


Block = Heading | Paragraph | Bullets | Table | Picture
Columns = dict[str, Callable[[Any], Any]]  # {heading: what the column shows of an item}


def table_of(columns: Columns, items: Iterable[Any], note: str = "") -> Table:
    """Return a Table with a row per item. Another column in a report is one more entry of `columns`."""
    return Table(list(columns), [[str(cell(item)) for cell in columns.values()] for item in items], note)


def paragraphs(text: str) -> list[Paragraph]:
    """Return the paragraphs of a text; empty lines separate them."""
    return [Paragraph(" ".join(part.split())) for part in text.strip().split("\n\n")]


def write_files(folder: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write {name: content} into `folder`. If one can't be written, as on a full disk, none is."""
    with contextlib.ExitStack() as all_written:
        for name, content in contents.items():
            file = all_written.enter_context(write_whole(folder / name, "w" if isinstance(content, str) else "wb"))
            file.write(content)
            file.flush()


def to_markdown(blocks: Sequence[Block]) -> str:
    """Return the blocks as Markdown."""
    return "\n\n".join(block.markdown() for block in blocks) + "\n"


def to_html(title: str, blocks: Sequence[Block]) -> str:
    """Return the blocks as one page that loads nothing, by the template page.html.j2 with the style page.css."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["breakable"] = lambda text: Markup(str(escape(text)).replace("/", "/<wbr>"))
    style = Markup((HERE / "page.css").read_text(encoding="utf-8"))
    return environment.get_template("page.html.j2").render(title=title, blocks=blocks, style=style)
