"""`vdsprovctl target`: the iSCSI targets that initiators log in to."""

from vdsprovd.cli.nouns.target import chap, looking, making  # noqa: F401  # they add their verbs to the noun
from vdsprovd.cli.nouns.target.noun import target

__all__ = ["target"]
