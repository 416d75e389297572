"""Who is served: callers are known by the credentials of their sockets, whatever the socket's mode."""

import grp
import os
import traceback
from collections.abc import Callable

import pytest

from tests.arrays import LioArray
from vdsprovd.varlink import VarlinkError

pytestmark = pytest.mark.lab

NOBODY = 65534


def as_user(uid: int, groups: list[int], act: Callable[[], None]) -> bool:
    """Do something as another user, in another process; gives whether it went well."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setgid(NOBODY)
            os.setuid(uid)
            act()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_mode_keeps_others_out(lio: LioArray) -> None:
    """The socket is root's and the group's, 0660: somebody else cannot even connect."""
    found = lio.socket.stat()
    assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (0o660, 0, grp.getgrnam("vdsprov").gr_gid)

    def connect() -> None:
        with pytest.raises(PermissionError):
            lio.connect()

    assert as_user(NOBODY, [], connect)


def test_somebody_else_is_refused_where_the_mode_lets_him_in(lio: LioArray) -> None:
    """With the socket open to all, a caller outside the groups is refused every call, introspection included."""
    lio.socket.chmod(0o666)

    def call() -> None:
        for method in ("org.vdsprov.Provider.GetProperties", "org.varlink.service.GetInfo"):
            with lio.connect() as connection, pytest.raises(VarlinkError, match="PermissionDenied"):
                connection.call(method, {})

    for folder in (lio.folder, lio.folder.parent, lio.folder.parent.parent):
        folder.chmod(0o755)
    assert as_user(NOBODY, [], call)


def test_the_group_is_served(lio: LioArray) -> None:
    """A member of the group, by a supplementary group, may do everything."""

    def call() -> None:
        with lio.connect() as connection:
            (found, _) = connection.call("org.vdsprov.HwProvider.QuerySubSystems", {})["subSystems"]
            connection.call("org.vdsprov.SubSystem.SetStatus", {"id": found["id"], "status": "online"})

    for folder in (lio.folder, lio.folder.parent, lio.folder.parent.parent):
        folder.chmod(0o755)
    assert as_user(NOBODY, [grp.getgrnam("vdsprov").gr_gid], call)


def test_the_viewer_s_role_ends_where_things_change(lio: LioArray) -> None:
    """A group with the role viewer queries, and is refused what changes anything, with the roles in the message."""
    file = lio.folder / "vdsprovd.toml"
    lio.stop()
    lio.configuration["roles"] = {"viewer": ["adm"], "admin": []}
    lio.start()
    assert "viewer" in file.read_text()
    lio.socket.chmod(0o666)
    sub_system = lio.sub_system

    def call() -> None:
        with lio.connect() as connection:
            connection.call("org.vdsprov.HwProvider.QuerySubSystems", {})
            with pytest.raises(VarlinkError, match="needs the role operator; yours is viewer"):
                connection.call(
                    "org.vdsprov.SubSystem.CreateLun", {"id": sub_system, "type": "simple", "sizeInBytes": 4096}
                )

    for folder in (lio.folder, lio.folder.parent, lio.folder.parent.parent):
        folder.chmod(0o755)
    assert as_user(NOBODY, [grp.getgrnam("adm").gr_gid], call)
