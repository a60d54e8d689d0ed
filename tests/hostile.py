"""Texts that a stranger's file may have: each acts somewhere, and none may."""

import random

TEXTS = (
    # pages
    "<script>alert(1)</script>",
    "</title></style><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "<!-- no end",
    "&lt;b&gt; &#60;b>",
    "<a href=javascript:alert(1)>x</a>",
    # Markdown
    "[x](javascript:alert(1))",
    "![x](http://example.com/seen.png)",
    "[x][y]",
    "[y]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "<https://example.com>",
    "\\<b>x</b>",
    "\\",
    "a|b",
    "a\\|b",
    "`a",
    "``<b>``",
    "*a* **b** _c_ ~~d~~",
    "**",
    "# a",
    "> a",
    "- a",
    "1. a",
    "```",
    "a\nb",
    "a\n\n<b>c</b>",
    "a\r\n| b | c |",
    # spreadsheets
    '=HYPERLINK("http://example.com","x")',
    "+1+1",
    "-1+cmd|' /C calc'!A0",
    "@SUM(A1:A2)",
    "\t=1+1",
    "\r=1+1",
    " =1+1",
    "＝1+1",
    "'",
    "'=1+1",
    "'a\\nb",
    'a,"b";c',
    # texts that are read as something else
    "True",
    "12",
    "-0.5",
    "1e5",
    "1_000",
    "+inf",
    "Infinity",
    " 7",
    "nan",
    "-inf",
    # drawing
    "$\\frac{$",
    "$x$",
    "\\$x$",
    "a$b",
    # terminals
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b[2J",
    "\x9b31m",
    "a\rb",
    "a\bb",
    "\x00",
    "\x7f",
    "[bold red]x[/bold red]",
    "[/]",
    "[link=http://example.com]x[/link]",
    "abc\u202efdp.exe",
    "\u2066x\u2069",
    "\u200fx",
    "\u2028",
    "\ufeffx",
    "\U000e0041",
    # none of any encoding
    "\ud800",
    "a\udcffb",
    # long
    "x" * 300,
    "x y " * 100,
)

_PIECES = (
    *"<>&;#[]()!|\\`*_~=+-@'\",\n\r\t :$/ax1.\x1b\x00\x9b\ud83d",
    "é",
    "σ",
    "\u202e",
)


def made_up(count: int, seed: int = 0) -> list[str]:
    """Texts of such characters at random, up to 12 each."""
    draw = random.Random(seed)
    return ["".join(draw.choices(_PIECES, k=draw.randint(1, 12))) for _ in range(count)]
