"""Many clients at once, doing anything: no false proof of corruption, and in the end all agree."""

import random
import threading
import time
from typing import Any

from tests.arrays import INITIATOR, MIB, OTHER_INITIATOR, Array, LioArray
from vdsprovd.hresult import Hresult
from vdsprovd.varlink import VarlinkError
from vdsprovd.varlink.client import Connection

CLIENTS = 6
ROUNDS = 60
PATIENCE = 60
"""Seconds until a client takes "another call" for an answer."""

EXPECTED = {
    "AnotherCallInProgress",
    "AssociatedLunsExist",
    "AssociatedPortalsExist",
    "InvalidArg",
    "ObjectDeleted",
    "ObjectExists",
    "ObjectNotFound",
}
"""What may come of calls that cross each other; corruption, refusals by the kernel and bugs may not."""


class Client(threading.Thread):
    """Calls one method after another with what it finds; `unexpected` are the errors that may not be."""

    def __init__(self, array: Array, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.sub_system = array.sub_system
        self.connection: Connection = array.connect()
        self.unexpected: list[str] = []
        self.succeeded = 0

    def run(self) -> None:
        with self.connection:
            rounds, deadline = 0, time.monotonic() + PATIENCE
            while rounds < ROUNDS:
                rounds += 1
                try:
                    self.once()
                    self.succeeded += 1
                except VarlinkError as error:
                    name = error.name.rpartition(".")[2]
                    if name == "AnotherCallInProgress" and time.monotonic() < deadline:
                        # As VDS has it: try again later. A recovery would use up everybody's rounds.
                        rounds -= 1
                        time.sleep(0.01)
                    elif name not in EXPECTED:
                        self.unexpected.append(str(error))
                except Exception as error:
                    self.unexpected.append(repr(error))

    def call(self, method: str, **parameters: Any) -> Any:
        """A call; an asynchronous one is waited for, and its failure is an error like any other."""
        reply = self.connection.call(f"org.vdsprov.{method}", parameters)
        if "async" in reply:
            result = self.connection.call("org.vdsprov.Async.Wait", {"id": reply["async"]})
            if result["hresult"]:
                code = Hresult(result["hresult"])
                raise VarlinkError(f"org.vdsprov.{code.error_name}", {"message": result.get("message", "")})
        return reply

    def any(self, method: str, array_name: str, **parameters: Any) -> str:
        """The id of any object of a query."""
        found = self.call(method, **parameters)[array_name]
        return str(self.random.choice(found)["id"]) if found else "none"

    def once(self) -> None:
        """One call of the many."""
        lun = self.any("SubSystem.QueryLuns", "luns", id=self.sub_system)
        target = self.any("SubSystemIscsi.QueryTargets", "targets", id=self.sub_system)
        portal = self.any("SubSystemIscsi.QueryPortals", "portals", id=self.sub_system)
        match self.random.randrange(18):
            case 0 | 1:
                self.call("SubSystem.CreateLun", id=self.sub_system, type="simple", sizeInBytes=MIB)
            case 2:
                self.call("Lun.Delete", id=lun)
            case 3 | 4:
                self.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
            case 5:
                self.call("LunIscsi.AssociateTargets", id=lun)
            case 6 | 7:
                mask = self.random.choice(["", "*", INITIATOR, f"{OTHER_INITIATOR};{INITIATOR}"])
                self.call("Lun.SetMask", id=lun, unmaskingList=mask)
            case 8:
                self.call("SubSystemIscsi.CreateTarget", id=self.sub_system)
            case 9:
                self.call("IscsiTarget.Delete", id=target)
            case 10:
                self.call("IscsiTarget.CreatePortalGroup", id=target)
            case 11 | 12:
                group = self.any("IscsiTarget.QueryPortalGroups", "portalGroups", id=target)
                method = self.random.choice(["AddPortal", "RemovePortal"])
                self.call(f"IscsiPortalGroup.{method}", id=group, portalId=portal)
            case 13:
                secret = self.random.choice(["twelve-bytes", None])
                name = self.random.choice([None, OTHER_INITIATOR])
                self.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=secret, initiatorName=name)
            case 14:
                self.call("Lun.SetStatus", id=lun, status=self.random.choice(["online", "offline"]))
            case 15:
                self.call(self.random.choice(["HwProvider.Reenumerate", "HwProvider.Refresh"]))
            case 16:
                if self.random.random() < 0.5:
                    self.call("Lun.Extend", id=lun, numberOfBytesToAdd=MIB)
                else:
                    self.call("SubSystem.Reenumerate", id=self.sub_system)
            case 17:
                self.call("IscsiTarget.GetConnectedInitiators", id=target)


def seen(array: Array) -> dict[str, Any]:
    """All that clients can see of array0."""
    id = array.sub_system
    targets = array.call("SubSystemIscsi.QueryTargets", id=id)["targets"]
    return {
        "luns": {entry["id"]: entry for entry in array.call("SubSystem.QueryLuns", id=id)["luns"]},
        "targets": {entry["id"]: entry for entry in targets},
        "associated": {
            entry["id"]: [lun["id"] for lun in array.call("IscsiTarget.QueryAssociatedLuns", id=entry["id"])["luns"]]
            for entry in targets
        },
        "groups": {
            entry["id"]: [
                (group["tag"], array.portals_of(group["id"]))
                for group in array.call("IscsiTarget.QueryPortalGroups", id=entry["id"])["portalGroups"]
            ]
            for entry in targets
        },
    }


def test_in_the_end_all_agree(array: Array) -> None:
    """Nobody meets an error that the documents do not promise; API, store and kernel hold the same, before and after a
    recovery, a restart and a reboot."""
    clients = [Client(array, seed) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert [error for client in clients for error in client.unexpected] == []
    assert sum(client.succeeded for client in clients) > CLIENTS * ROUNDS // 4
    before, kernel = seen(array), array.kernel()
    array.call("HwProvider.Reenumerate")
    array.call("HwProvider.Refresh")
    assert array.kernel() == kernel
    array.restart()
    assert seen(array) == before
    assert array.kernel() == kernel
    array.reboot()
    assert seen(array) == before
    assert array.kernel() == kernel
    if isinstance(array, LioArray):
        files = {path.stem for path in (array.pools_folder / "files0").iterdir()}
        assert files == set(before["luns"])
        # However the commands crossed, none of them was taken for somebody else's doing.
        assert "missing in the kernel" not in array.log.read_text()
        assert "somebody else" not in array.log.read_text()
