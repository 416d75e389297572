"""This host's own initiator, open-iscsi, as somebody uses it who knows targets by name and portal."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.arrays import run


@contextmanager
def logged_in(portals: Mapping[str, str], chap: Mapping[str, tuple[str, str]]) -> Iterator[None]:
    """Logged in to these targets at these portals, with the CHAP name and secret of those that have one."""
    nodes = {name: ("iscsiadm", "-m", "node", "-T", name, "-p", portal) for name, portal in portals.items()}
    try:
        for name, node in nodes.items():
            run(*node, "-o", "new")
            if name in chap:
                user, secret = chap[name]
                for key, value in (("authmethod", "CHAP"), ("username", user), ("password", secret)):
                    run(*node, "-o", "update", "-n", f"node.session.auth.{key}", "-v", value)
            run(*node, "--login")
        run("udevadm", "settle")
        yield
    finally:
        for node in nodes.values():
            run(*node, "--logout", check=False)
            run(*node, "-o", "delete", check=False)
