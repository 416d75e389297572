"""The noun that the verbs of a LUN are added to, and what they share."""

from vdsprovd.cli.objects import LUN, Named, Object
from vdsprovd.cli.verbs import Noun

lun = Noun("lun", help="LUNs: the disks that initiators see.")

NAMED = Named(LUN)


def title(entry: Object) -> str:
    """The LUN in a sentence: "LUN web0 (6f86a8d3-...)"."""
    name = entry["friendlyName"]
    return f"LUN {name} ({entry['id']})" if name else f"LUN {entry['id']}"
