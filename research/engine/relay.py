"""Passes on what C++ writes, our own line before it where another process is gone.

jax's service then writes twenty lines and ends this run's process. The relay outlives that
end, as a program of its own: `python relay.py LINE`.
"""

import os
import sys

SAID = b"lost another one"  # in our line, if the run could say it by itself
GONE = (
    b"Use error polling to propagate",  # the first process, whose service hears of it
    b"Shutdown barrier in coordination service has failed",
    b"Polled an error from coordination service",
    b"Terminating process because",
)


def main(line: bytes) -> None:
    said = False
    while text := sys.stdin.buffer.readline():
        said = said or SAID in text
        if not said and any(words in text for words in GONE):
            os.write(2, line + b"\n")
            said = True
        os.write(2, text)


if __name__ == "__main__":
    main(os.fsencode(sys.argv[1]))
