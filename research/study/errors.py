"""Messages for the person at the keyboard: one line and an exit status, no traceback."""

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
