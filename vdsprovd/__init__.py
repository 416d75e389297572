"""vdsprovd: the VDS object model, rules and error codes on the Linux kernel's iSCSI target (LIO)."""

__version__ = "0.1.0"
