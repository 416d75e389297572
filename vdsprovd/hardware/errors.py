"""What adapters raise."""


class HardwareError(Exception):
    """Something below the VDS rules went wrong; the message says what was tried and what the system answered."""


class Mismatch(HardwareError):
    """The host is not what the caller took it for: an object is missing, or there already, or another one."""


class Refused(HardwareError):
    """The kernel refused a step, for a reason that is no mismatch."""


class NoSpace(HardwareError):
    """The pool cannot hold what was asked for."""


class Unsupported(HardwareError):
    """What was asked for can never be had here, whatever becomes free."""


class NoDrives(HardwareError):
    """The pool has too few drives that can be used for what was asked for. With one more disk of `wanted` bytes it might
    have enough."""

    def __init__(self, message: str, wanted: int = 0) -> None:
        super().__init__(message)
        self.wanted = wanted


class VolumeFailed(HardwareError):
    """Reading or writing a LUN's bytes failed."""


class Cancelled(HardwareError):
    """The caller asked for the work to stop; nothing of it is left."""
