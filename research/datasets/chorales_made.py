"""Makes chorales.npz, once: python chorales_made.py Jsb16thSeparated.npz

The file is that of https://github.com/czhuang/JSB-Chorales-dataset, at commit
9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d: for each part a list of chorales [sixteenths,
4], MIDI numbers, NaN where a voice is silent. Differences from step to step, mostly 0,
take least room. It is a pickle, so its digest is looked at before it is opened.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np

PARTS = ("train", "valid", "test")
DIGEST = "2adcdf0d57880c3763f104555072285fe7f9e3d6049fcc4b9830557b8d4a7820"


def main(source: str) -> None:
    """Writes chorales.npz beside this file."""
    found = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    if found != DIGEST:
        sys.exit(f"{source}: not the file that is meant: its SHA-256 is {found}")
    with np.load(source, allow_pickle=True, encoding="latin1") as held:
        every = [(n, chorale) for n, part in enumerate(PARTS) for chorale in held[part]]
    notes = [np.nan_to_num(chorale).astype(np.int8) for _, chorale in every]
    steps = np.diff(np.concatenate(notes), axis=0, prepend=np.int8(0))
    np.savez_compressed(
        Path(__file__).with_name("chorales.npz"),
        steps=steps.astype(np.int8),
        lengths=np.array([len(chorale) for chorale in notes], np.int16),
        parts=np.array([part for part, _ in every], np.int8),
    )


if __name__ == "__main__":
    main(sys.argv[1])
