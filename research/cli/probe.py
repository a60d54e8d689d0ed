"""`depthbench probe MODULE:NAME`: the gradient in a net of your own, at several depths.

It is `depthbench run own_model --model MODULE:NAME`, with a folder for each net.
"""

import argparse

from depthbench.research.catalogues import modules
from depthbench.research.catalogues.axes import items
from depthbench.research.cli import run
from depthbench.research.study.errors import Refusal
from depthbench.research.study.studies import studies

STUDY = "own_model"


def arguments(parser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="module:name of the net, or of the function of depth that makes it; "
        "several with commas between them",
    )
    own = studies()[STUDY]
    run.arguments(parser, own, apart="model", needed="input", out="runs/probe/MODEL")


def main(options: argparse.Namespace) -> int:
    options.study = studies()[STUDY]
    alone = f"runs/probe/{folder(options.model)}"
    options.out = alone if options.out is None else options.out
    return run.main(options)


def folder(models: str) -> str:
    """A folder's name for these nets: another for others. Raises Refusal.

    >>> folder("my.nets:make,my.nets:mended")
    'my.nets.make+my.nets.mended'
    """
    names = items("MODEL", models)
    for name in names:
        if not modules.is_name(name):
            raise Refusal(f"MODEL {name}: must be module:name, such as my.module:make")
    return "+".join(name.replace(":", ".") for name in names)
