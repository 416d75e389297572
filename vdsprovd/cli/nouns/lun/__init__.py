"""`vdsprovctl lun`: the disks that initiators see."""

from vdsprovd.cli.maintenance import add_lights
from vdsprovd.cli.nouns.lun import access, bytes, looking, paths, state  # noqa: F401  # they add their verbs to the noun
from vdsprovd.cli.nouns.lun.noun import lun
from vdsprovd.cli.objects import LUN

__all__ = ["lun"]

add_lights(lun, LUN)
