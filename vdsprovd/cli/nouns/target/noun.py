"""The noun that the verbs of a target are added to, and what they share."""

from vdsprovd.cli.objects import TARGET, Named, Object
from vdsprovd.cli.verbs import Noun

target = Noun("target", help="iSCSI targets: what initiators log in to.")

NAMED = Named(TARGET)


def title(entry: Object) -> str:
    """The target in a sentence: "target iqn.2026-11.org.example:web (web)"."""
    name = f" ({entry['friendlyName']})" if entry["friendlyName"] else ""
    return f"target {entry['iscsiName']}{name}"
