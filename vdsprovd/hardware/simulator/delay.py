"""How long what is simulated takes."""

import time


def sleep(seconds: float) -> None:
    """Sleep, unless it is for no time, which would take the kernel 50 us."""
    if seconds:
        time.sleep(seconds)
