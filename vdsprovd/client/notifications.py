"""What a client is told of changes, and when it must look itself."""

from vdsprovd.model import Notification, Struct
from vdsprovd.replies import AdviseReply

_GROUP = 100
"""So many notifications in a reply may be followed by more of the same group (Service.Advise)."""


class Notifications(Struct, frozen=True):
    """Notifications of one event; with `missed`, none, and changes may not have been told: list again what you keep.

    `sequence` numbers the groups within an `epoch`, which is one run of the daemon.
    """

    epoch: str
    sequence: int
    missed: bool = False
    notifications: tuple[Notification, ...] = ()


class Gaps:
    """Finds the places where changes may have been missed, in the replies of one Service.Advise after the other."""

    def __init__(self) -> None:
        self._at: tuple[str, int] | None = None
        """What has been told whole."""

    def take(self, reply: AdviseReply) -> Notifications | None:
        """What there is to tell of the reply, if anything: a connection that was lost and missed nothing is not told of."""
        place = (reply.epoch, reply.sequence)
        missed = reply.overrun or (reply.established and place != self._at)
        self._at = None if len(reply.notifications) >= _GROUP else place
        if not missed and not reply.notifications:
            return None
        return Notifications(reply.epoch, reply.sequence, missed, reply.notifications)
