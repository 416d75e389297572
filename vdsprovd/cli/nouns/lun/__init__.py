"""`vdsprovctl lun`: the disks that initiators see."""

from vdsprovd.cli.nouns.lun import access, bytes, looking, state  # noqa: F401  # they add their verbs to the noun
from vdsprovd.cli.nouns.lun.noun import lun

__all__ = ["lun"]
