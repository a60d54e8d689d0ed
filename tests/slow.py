"""Which tests `pytest` leaves out unless it is asked for them: `python -m tests.slow FILE`.

FILE: of `pytest -m "not exhaustive" --junit-xml FILE`, on a machine that does nothing else
and with nothing compiled before. slow.txt then has the functions of which a case took
SECONDS or more; conftest.py marks them `slow`, as others are marked beside the test.
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

SECONDS = 1.5
LIST = Path(__file__).with_name("slow.txt")


def names() -> frozenset[str]:
    """The tests in the list, as pytest calls them, without what is in brackets."""
    return frozenset(LIST.read_text("utf-8").split())


def taken(report: str) -> list[str]:
    """The tests of a JUnit report that took so long, in order.

    >>> taken('<s><testcase classname="tests.a" name="test_b[1]" time="1.6"/></s>')
    ['tests/a.py::test_b']
    """
    cases = ElementTree.fromstring(report).iter("testcase")
    long = [case for case in cases if float(case.get("time", "0")) >= SECONDS]
    places = (case.get("classname", "").replace(".", "/") for case in long)
    titles = (case.get("name", "").partition("[")[0] for case in long)
    return sorted({f"{p}.py::{t}" for p, t in zip(places, titles, strict=True) if p})


if __name__ == "__main__":
    found = taken(Path(sys.argv[1]).read_text("utf-8"))
    LIST.write_text("".join(f"{name}\n" for name in found), "utf-8")
    print(f"{len(found)} tests took {SECONDS} s or more: {LIST}")
