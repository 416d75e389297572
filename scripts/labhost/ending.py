"""How the lab ends when it is the lab, and not COMMAND, that has something to say."""

import sys

# COMMAND's own statuses pass through, so these are taken from sysexits.h, which few commands use.
USAGE = 64
UNAVAILABLE = 69  # a tool that the lab needs is missing on this machine
GUEST_DIED = 70  # a panic, a guest that never reached COMMAND, or one that ended without a status
CANNOT_BUILD = 73  # the root file system could not be built
FORBIDDEN = 77  # this machine does not allow namespaces, and no package changes that
TIMED_OUT = 124  # as timeout(1)


class LabError(Exception):
    """Ends the lab with a message for the person who called it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def say(message: str) -> None:
    """Messages go to standard error, so that standard output is COMMAND's alone."""
    print(f"lab: {message}", file=sys.stderr, flush=True)
