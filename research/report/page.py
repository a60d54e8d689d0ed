"""The page of a report: one HTML file with its pictures inside, light or dark, no script.

Wide tables and pictures scroll in a box of their own, so that the page fits a telephone.
"""

import base64
import html
from collections.abc import Iterable, Sequence

from depthbench.research.files.text import visible
from depthbench.research.report.rendering import text_of
from depthbench.research.study.declaration import Headline
from depthbench.research.study.tables import Mark, Table

LONG = 40  # letters of an entry that is broken into lines rather than widens its table

# A dark page turns its pictures over in lightness and keeps their hues: white becomes the
# page's own #121212, red stays red. So one picture serves both.
STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --ink: #222222; --faint: #5d5d5d;
  --line: #e2e2e2; --bad: #b83227; --warning: #8a5a00; --good: #1a7340; --dim: #767676; }
@media (prefers-color-scheme: dark) {
  :root { --page: #121212; --ink: #e4e4e4; --faint: #a3a3a3; --line: #333333;
    --bad: #ff8a7a; --warning: #e3b341; --good: #6fcf8e; --dim: #949494; }
  img { filter: invert(0.93) hue-rotate(180deg); }
}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 1.5em auto;
  padding: 0 1em; color: var(--ink); background: var(--page); overflow-wrap: anywhere; }
h1 { font-size: 1.1em; margin: 0; color: var(--faint); }
h2 { font-size: 1.2em; margin: 2em 0 0.5em; }
h3 { font-size: 1em; margin: 1.8em 0 0.3em; }
.question { margin: 0 0 1em; color: var(--faint); }
.answer { font-size: 1.5em; line-height: 1.3; font-weight: 600; margin: 0 0 0.6em; }
.worst { border-left: 4px solid var(--bad); padding-left: 0.7em; margin: 0 0 1.5em; }
.notice { color: var(--warning); font-weight: 600; }
.made { color: var(--faint); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; overflow-wrap: normal; }
th, td { text-align: left; padding: 2px 12px 2px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
.long { min-width: 17em; white-space: normal; }
.stack { min-width: 20em; white-space: pre-line; }
.stack b { white-space: nowrap; }
.bad { color: var(--bad); } .warning { color: var(--warning); }
.good { color: var(--good); } .dim { color: var(--dim); }
figure { margin: 0 0 1.5em; } img { width: 100%; min-width: 640px; }
figcaption { color: var(--faint); max-width: 70em; font-size: 13px; }
@media (max-width: 600px) { .answer { font-size: 1.2em; } }
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _text(words: str) -> str:
    """Words as HTML that shows them, whatever they are."""
    return html.escape(visible(words, keep="\n"))


def whole(title: str, parts: Iterable[str]) -> str:
    """The page of these parts, in their order."""
    return PAGE.format(
        title=_text(title), style=STYLE, body="\n".join(filter(None, parts))
    )


def head(title: str, question: str, headline: Headline) -> str:
    """What is seen first: the question, its answer, and the worst case."""
    return "\n".join(
        (
            f"<h1>{_text(title)}</h1>",
            paragraph(question, "question"),
            paragraph(headline.answer, "answer"),
            paragraph(headline.worst, "worst"),
        )
    )


def paragraph(text: str, kind: str) -> str:
    return f'<p class="{kind}">{_text(text)}</p>' if text else ""


def made(lines: Sequence[str]) -> str:
    """Where the page comes from, in lines."""
    items = "".join(f"<li>{_text(line)}</li>" for line in lines)
    return f'<ul class="made">{items}</ul>'


def figure(name: str, caption: str, png: bytes) -> str:
    """A picture inside the page, and what it shows."""
    uri = "data:image/png;base64," + base64.b64encode(png).decode()
    return (
        f'<figure><div class="scroll"><img alt="{_text(name)}" src="{uri}"></div>\n'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


SOUNDS = {".wav": "audio/wav", ".mid": "audio/midi"}


def check_recording(name: str) -> None:
    """Raises ValueError unless it is a file's name, of a recording, in no other folder."""
    if name[-4:] not in SOUNDS or name[0] == "." or {"/", "\\"} & set(name):
        raise ValueError(
            f"a recording is named {name!r}; must be like tune.wav or .mid"
        )


def recording(name: str, caption: str, content: bytes) -> str:
    """A recording inside the page: played there, or of notes kept as a file."""
    kind = SOUNDS[name[-4:]]
    uri = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    heard = f'<audio controls src="{uri}"></audio>' if kind == "audio/wav" else ""
    file = f'<a download="{_text(name)}" href="{uri}">{_text(name)}</a>'
    return (
        f"<figure>{heard}\n<figcaption>{file}: {_text(caption)}</figcaption></figure>"
    )


def table(shown: Table) -> str:
    """A table in a box that scrolls; tones are classes."""
    top = "".join(_cell(header, "th") for header in shown.headers)
    body = "\n".join(
        f"<tr>{''.join(_cell(entry, 'td') for entry in row)}</tr>" for row in shown.rows
    )
    title = f"<h3>{_text(shown.title)}</h3>\n" if shown.title else ""
    title += f"<p>{_text(shown.note)}</p>\n" if shown.note else ""
    return (
        f'{title}<div class="scroll" tabindex="0"><table>\n<tr>{top}</tr>\n{body}\n'
        "</table></div>"
    )


def _cell(entry: str | Mark, tag: str) -> str:
    text = text_of(entry)
    kinds = [entry.tone] if isinstance(entry, Mark) and entry.tone else []
    if "\n" in text:  # entries below each other, the first of them a name
        kinds.append("stack")
    elif len(text) > LONG:
        kinds.append("long")
    named = f' class="{" ".join(kinds)}"' if kinds else ""
    first, below, rest = map(_text, text.partition("\n"))
    inner = f"<b>{first}</b>{below}{rest}" if below else first
    return f"<{tag}{named}>{inner}</{tag}>"
