"""vdsprovd, through its socket, with a client of a few lines that has nothing of ours."""

import json
import socket
from time import perf_counter
from typing import Any

from benchmark.contenders import SIZE, Cost, Work
from benchmark.figures import peak, processor
from benchmark.subject import Daemon


class Client:
    """Varlink, as far as it is needed: JSON, and a NUL behind each message."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._replies = self._socket.makefile("rb")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method, by its name without org.vdsprov, and wait for what it begins."""
        reply = self._ask(method, parameters)
        return self._ask("Async.Wait", {"id": reply["async"]}) if "async" in reply else reply

    def _ask(self, method: str, parameters: dict[str, object]) -> dict[str, Any]:
        message = {"method": f"org.vdsprov.{method}", "parameters": parameters}
        self._socket.sendall(json.dumps(message).encode() + b"\0")
        text = b""
        while not text.endswith(b"\0"):
            if not (more := self._replies.read1()):
                raise ConnectionResetError("vdsprovd has closed the connection")
            text += more
        reply = json.loads(text[:-1])
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply}")
        return dict(reply.get("parameters") or {})

    def close(self) -> None:
        """Hang up."""
        self._replies.close()
        self._socket.close()


class Vdsprovd:
    """The daemon that is measured. It makes the files itself, in its pool."""

    name = "vdsprovd"
    luns = 50

    def __init__(self, subject: Daemon) -> None:
        self.subject = subject

    def do(self, work: Work, patience: float) -> Cost:
        """One connection, one call after the other."""
        process = self.subject.process
        assert process
        client = Client(str(self.subject.folder / "socket"))
        (sub_system,) = client.call("HwProvider.QuerySubSystems")["subSystems"]
        cost = Cost()
        used, begun = processor(process.pid), perf_counter()
        targets = {name: self._target(client, sub_system["id"], name, work.new_targets) for name in work.targets}
        mask = ";".join(work.initiators)
        for name, _ in work.each():
            moment = perf_counter()
            made = client.call(
                "SubSystem.CreateLun", id=sub_system["id"], type="simple", sizeInBytes=SIZE, unmaskingList=mask
            )
            client.call("LunIscsi.AssociateTargets", id=made["object"], targetIds=[targets[name]])
            cost.seconds.append(perf_counter() - moment)
            if perf_counter() - begun > patience:
                raise TimeoutError
        cost.total = perf_counter() - begun
        cost.processor, cost.peak = processor(process.pid) - used, peak(process.pid)
        client.close()
        return cost

    def _target(self, client: Client, sub_system: str, name: str, new: bool) -> str:
        """The id of the target with that iSCSI name."""
        if not new:
            targets = client.call("SubSystemIscsi.QueryTargets", id=sub_system)["targets"]
            found: str = next(target["id"] for target in targets if target["iscsiName"] == name)
            return found
        target: str = client.call("SubSystemIscsi.CreateTarget", id=sub_system, iscsiName=name)["object"]
        group = client.call("IscsiTarget.CreatePortalGroup", id=target)["object"]
        (portal,) = client.call("SubSystemIscsi.QueryPortals", id=sub_system)["portals"]
        client.call("IscsiPortalGroup.AddPortal", id=group, portalId=portal["id"])
        return target
