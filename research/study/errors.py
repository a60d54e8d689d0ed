"""Messages for the user: one line and an exit status, no traceback."""

USAGE = 2  # mended by typing something else
DISK = 74  # the disk is full or broken
LATER = 75  # somebody else is at it; try later
INTERRUPTED = 130
TERMINATED = 143


class Refusal(Exception):
    """Something that cannot be done as asked; the message is the one line to print."""

    def __init__(self, message: str, status: int = USAGE):
        super().__init__(message)
        self.status = status


OURS = ("research", "benchmarks", "experiments")  # what is missing there is a mistake
PACKAGES = {"sklearn": "scikit-learn"}  # where the module's name is not the package's


def missing(error: ModuleNotFoundError) -> Refusal:
    """What to install. Raises the error again where no package would help."""
    module = str(error.name).partition(".")[0]
    if module in OURS:
        raise error
    package = PACKAGES.get(module, module)
    return Refusal(
        f"this needs {package}, which is not installed: pip install {package}"
    )
