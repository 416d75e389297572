"""The kernel's target, as others than the daemon see it."""

from pathlib import Path

from vdsprovd.hardware import (
    Hardware,
)


def group_folder(target: str, tag: int = 1) -> Path:
    """A portal group's folder in configfs."""
    return Path("/sys/kernel/config/target/iscsi") / target / f"tpgt_{tag}"


def somebody() -> Hardware:
    """The kernel's target in the hands of another process than the daemon."""
    from vdsprovd.hardware.lio import Lio

    return Lio({})


def clear_kernel() -> None:
    """Remove all of LIO's configuration, whoever made it, as a reboot does."""
    from rtslib_fb.root import RTSRoot

    RTSRoot().clear_existing(confirm=True)
