"""A page made of headings, paragraphs, lists, tables and pictures, as Markdown and as one self-contained HTML file."""

import base64
import html
import re
from dataclasses import dataclass

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: #222; background: #fff; }
body { max-width: 80rem; margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-weight: 600; font-size: 1.9rem; margin: 0 0 1rem; }
h2 { font-weight: 600; font-size: 1.3rem; margin: 3rem 0 .8rem; padding-top: 1rem; border-top: 1px solid #ddd; }
h3 { font-weight: 600; font-size: 1.05rem; margin: 2rem 0 .5rem; }
p, ul { max-width: 60rem; margin: .6rem 0; }
ul { padding-left: 1.2rem; }
div.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; margin: .8rem 0; }
th { font-weight: 600; border-bottom: 1.5px solid #888; vertical-align: bottom; }
td { border-top: 1px solid #eee; }
th, td { padding: .25rem .5rem; text-align: left; }
th.number, td.number { text-align: right; }
td.number { white-space: nowrap; }
td.path { font-size: .75rem; }
tr.new td { border-top: 1px solid #999; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; }
figcaption, .note { color: #555; font-size: .84rem; max-width: 60rem; }
@media print {
  @page { size: A4 landscape; margin: 10mm; }
  body { font-size: 9pt; color: #000; max-width: none; margin: 0; padding: 0; }
  figcaption, .note { color: #000; font-size: 8pt; }
  div.table { overflow: visible; }
  table { font-size: 7.5pt; line-height: 1.25; }
  th, td { padding: .1rem .35rem; }
  td { border-top-color: #ccc; }
  td.path { font-size: 7pt; }
  thead { display: table-header-group; }
  tr, figure, li { break-inside: avoid; }
  tr:nth-child(-n+3) { break-after: avoid; }
  tr:nth-last-child(-n+3) { break-before: avoid; }
  h2 { break-before: page; border-top: none; margin-top: 0; }
  h1, h2, h3 { break-after: avoid; }
  h1 { margin-bottom: .4rem; }
  h3 { margin-top: .8rem; }
  figure img { max-height: 160mm; }
}
"""


@dataclass
class Heading:
    text: str
    level: int = 2

    def markdown(self):
        return f"{'#' * self.level} {self.text}"

    def html(self):
        return f"<h{self.level}>{html.escape(self.text)}</h{self.level}>"


@dataclass
class Paragraph:
    text: str

    def markdown(self):
        return self.text

    def html(self):
        return f"<p>{html.escape(self.text)}</p>"


@dataclass
class Bullets:
    lines: list

    def markdown(self):
        return "\n".join(f"- {line}" for line in self.lines)

    def html(self):
        return "<ul>\n" + "\n".join(f"<li>{html.escape(line)}</li>" for line in self.lines) + "\n</ul>"


@dataclass
class Table:
    """`rows`: lists of strings, one per column. In HTML, columns of numbers stand to the right, paths are small and may break
    after a slash, and where first cells repeat, a rule parts those that differ."""

    columns: list
    rows: list
    note: str = ""

    def markdown(self):
        def line(cells):
            return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

        table = "\n".join([line(self.columns), "|" + "---|" * len(self.columns), *map(line, self.rows)])
        return f"{table}\n\n{self.note}" if self.note else table

    def html(self):
        number = [all(re.match(r"[-+<]? ?\d|$", row[at]) for row in self.rows) for at in range(len(self.columns))]
        path = [any("/" in row[at] for row in self.rows) and not number[at] for at in range(len(self.columns))]
        firsts = [row[0] for row in self.rows]
        parted = len(set(firsts)) < len(firsts)

        def cell(tag, at, text):
            return f"<{tag}{' class=number' * number[at]}{' class=path' * path[at]}>{html.escape(text).replace('/', '/<wbr>')}</{tag}>"

        def line(tag, cells, new=False):
            return f"<tr{' class=new' * new}>{''.join(cell(tag, at, text) for at, text in enumerate(cells))}</tr>"

        body = [line("td", row, parted and at > 0 and firsts[at] != firsts[at - 1]) for at, row in enumerate(self.rows)]
        note = f'\n<p class="note">{html.escape(self.note)}</p>' if self.note else ""
        return (
            "\n".join(
                [
                    '<div class="table"><table>',
                    f"<thead>{line('th', self.columns)}</thead>",
                    "<tbody>",
                    *body,
                    "</tbody></table></div>",
                ]
            )
            + note
        )


@dataclass
class Picture:
    """`svg`: the bytes of an SVG, which HTML holds inside the page. Markdown, which cannot, shows the `file` beside it or names the figure."""

    svg: bytes
    caption: str
    file: str = ""

    def markdown(self):
        return f"![{self.caption}]({self.file})" if self.file else f"*Figure in report.html: {self.caption}*"

    def html(self):
        data = base64.b64encode(self.svg).decode()
        return f'<figure><img alt="{html.escape(self.caption)}" src="data:image/svg+xml;base64,{data}"><figcaption>{html.escape(self.caption)}</figcaption></figure>'


def to_markdown(blocks):
    """Return the blocks as Markdown."""
    return "\n\n".join(block.markdown() for block in blocks) + "\n"


def to_html(title, blocks):
    """Return the blocks as one page that loads nothing."""
    head = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title>",
        f"<style>{STYLE}</style>",
    ]
    body = [block.html() for block in blocks]
    return (
        "\n".join(
            ["<!doctype html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", *body, "</body>", "</html>"]
        )
        + "\n"
    )
