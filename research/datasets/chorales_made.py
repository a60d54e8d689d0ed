"""Makes chorales.npz, once: python chorales_made.py Jsb16thSeparated.json

The file is that of https://github.com/czhuang/JSB-Chorales-dataset, at commit
9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d: for each part a list of chorales [sixteenths,
4], MIDI numbers, −1 where a voice is silent, which is 0 here. Differences from step to
step, mostly 0, take least room.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

PARTS = ("train", "valid", "test")
DIGEST = "79294cc374f9252e95ef4b703161524c1c53dc1f712c236f00f1c1f5d54af5a7"


def main(source: str) -> None:
    """Writes chorales.npz beside this file."""
    found = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    if found != DIGEST:
        sys.exit(f"{source}: not the file that is meant: its SHA-256 is {found}")
    held = json.loads(Path(source).read_bytes())
    every = [(n, chorale) for n, part in enumerate(PARTS) for chorale in held[part]]
    notes = [np.maximum(chorale, 0).astype(np.int8) for _, chorale in every]
    steps = np.diff(np.concatenate(notes), axis=0, prepend=np.int8(0))
    np.savez_compressed(
        Path(__file__).with_name("chorales.npz"),
        steps=steps.astype(np.int8),
        lengths=np.array([len(chorale) for chorale in notes], np.int16),
        parts=np.array([part for part, _ in every], np.int8),
    )


if __name__ == "__main__":
    main(sys.argv[1])
