"""What both kinds of guest have in common."""

from dataclasses import dataclass

# What takes seconds of a boot with systemd and does nothing for a guest that lives for a minute.
COMMON_SETTINGS = (
    "systemd.condition_needs_update=no",
    *(
        f"systemd.mask={unit}"
        for unit in (
            "e2scrub_reap.service",
            "modprobe@drm.service",
            "modprobe@efi_pstore.service",
            "modprobe@fuse.service",
            "proc-sys-fs-binfmt_misc.automount",
            "prometheus.service",  # tests start their own
            "systemd-pstore.service",
        )
    ),
)


@dataclass(frozen=True)
class Wiring:
    """The file descriptors that join a guest to the lab."""

    console: int
    output: int
    error: int
    control: int
    terminal: int  # a socket, for both ways
    network: int | None

    def all(self) -> list[int]:
        ends = [self.console, self.output, self.error, self.control, self.terminal]
        return ends if self.network is None else [*ends, self.network]
