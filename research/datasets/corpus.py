"""Python's standard library as text: real, already installed, the same everywhere.

One Python version gives the same characters wherever it is installed, unless whoever
packaged it has patched these modules.
"""

import sysconfig
from pathlib import Path

import numpy as np

from depthbench.research.datasets.contract import Data, DataError, Splits

WINDOW = 128
# Modules that Python 3.11 to 3.13 all have, in one file each.
MODULES = """
    abc argparse ast base64 bdb bisect calendar cmd code codecs codeop
    colorsys compileall configparser contextlib contextvars copy copyreg csv
    dataclasses difflib dis doctest enum filecmp fileinput fnmatch fractions ftplib
    functools genericpath getopt getpass gettext glob graphlib gzip hashlib heapq hmac
    imaplib inspect io ipaddress keyword linecache locale mailbox mimetypes netrc
    numbers opcode operator optparse os pdb pickletools pkgutil platform plistlib
    poplib posixpath pprint profile pstats py_compile pyclbr queue quopri random
    reprlib rlcompleter runpy sched secrets selectors shelve shlex shutil signal
    smtplib socket socketserver ssl stat statistics stringprep struct subprocess
    symtable tabnanny tarfile tempfile textwrap this threading timeit token tokenize
    trace traceback tracemalloc types typing uuid warnings wave weakref webbrowser
    zipapp zipimport
""".split()
# Printable ASCII, the line's end, and one for all else.
CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))
OTHER = len(CHARACTERS)


def load() -> Splits:
    """Windows of 128 characters and the ones that follow; every fifth module is a test.

    x, y: [windows, 128]. A module's last, incomplete window is left out.
    """
    parts: tuple[list, list] = ([], [])
    for number, module in enumerate(MODULES):
        parts[number % 5 == 4].append(_windows(encoded(_source(module))))
    return Splits(*(_data(np.concatenate(part)) for part in parts))


def encoded(text: str) -> np.ndarray:
    """Numbers [characters] of a text's characters, in the order of CHARACTERS."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    table = np.full(128, OTHER, np.int32)
    table[[ord(character) for character in CHARACTERS]] = np.arange(len(CHARACTERS))
    return table[np.minimum(codes, 127)]


def _windows(tokens: np.ndarray) -> np.ndarray:
    """[windows, 129]; each begins with the character that the one before ended on."""
    count = (len(tokens) - 1) // WINDOW
    starts = np.arange(count)[:, None] * WINDOW
    return tokens[starts + np.arange(WINDOW + 1)[None]]


def _data(windows: np.ndarray) -> Data:
    return Data(windows[:, :-1], windows[:, 1:], len(CHARACTERS) + 1)


def _source(module: str) -> str:
    path = Path(sysconfig.get_path("stdlib")) / f"{module}.py"
    try:
        return path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except OSError:
        raise DataError(
            f"stdlib: {path} cannot be read; use a Python whose library is installed as "
            "source, such as python.org's or your distribution's full package"
        ) from None
