"""How many steps a call of the compiled loop takes."""

CHUNK_SECONDS = 0.5  # one call of the compiled loop: how soon a signal is heard


class Pace:
    """How many steps a call should take, from how long the last ones took."""

    def __init__(self, most: int) -> None:
        self.calls, self.chunk, self.most = 0, 2, most

    def steps(self, left: int) -> int:
        return min(left, self.chunk, self.most)

    def took(self, steps: int, seconds: float) -> None:
        self.calls += 1
        if self.calls > 1:  # the first call compiles
            wanted = int(CHUNK_SECONDS * steps / max(seconds, 1e-6))
            self.chunk = max(1, min(wanted, 8 * self.chunk))
