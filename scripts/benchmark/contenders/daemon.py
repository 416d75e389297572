"""vdsprovd, through its socket, with a client of a few lines that has nothing of ours."""

from time import perf_counter

from benchmark.client import Client
from benchmark.contenders import SIZE, Cost, Work
from benchmark.figures import peak, processor
from benchmark.subject import MOST, Daemon


class Vdsprovd:
    """The daemon that is measured. It makes the files itself, in its pool."""

    name = "vdsprovd"
    luns = 50

    def __init__(self, subject: Daemon) -> None:
        self.subject = subject

    def do(self, work: Work, patience: float, *, in_one_call: bool = False) -> Cost:
        """One connection, one call after the other: those of VDS, or the one of ours that does all of it for a LUN. Then who
        asked waits for its end."""
        process = self.subject.process
        assert process
        client = self.subject.client()
        (sub_system,) = client.done("HwProvider.QuerySubSystems")["subSystems"]
        cost = Cost()
        used, begun = processor(process.pid), perf_counter()
        targets = {name: self._target(client, sub_system["id"], name, work.new_targets) for name in work.targets}
        mask = ";".join(work.initiators)
        for name, _ in work.each():
            moment = perf_counter()
            if in_one_call:
                new = {"sizeInBytes": SIZE, "unmaskingList": mask, "targetIds": [targets[name]]}
                client.made("Provisioning.CreateLuns", id=sub_system["id"], luns=[new])
            else:
                made = client.done(
                    "SubSystem.CreateLun", id=sub_system["id"], type="simple", sizeInBytes=SIZE, unmaskingList=mask
                )
                client.done("LunIscsi.AssociateTargets", id=made["object"], targetIds=[targets[name]])
            cost.seconds.append(perf_counter() - moment)
            if perf_counter() - begun > patience:
                raise TimeoutError
        cost.total = perf_counter() - begun
        cost.processor, cost.peak = processor(process.pid) - used, peak(process.pid)
        client.close()
        return cost

    def do_at_once(self, work: Work) -> Cost:
        """The same with one call for up to 1,000 targets, and one for up to 1,000 LUNs."""
        process = self.subject.process
        assert process
        client = self.subject.client()
        (sub_system,) = client.done("HwProvider.QuerySubSystems")["subSystems"]
        (portal,) = client.done("SubSystemIscsi.QueryPortals", id=sub_system["id"])["portals"]
        cost = Cost()
        used, begun = processor(process.pid), perf_counter()
        new_targets = [{"iscsiName": name, "portalIds": [portal["id"]]} for name in work.targets]
        ids: list[str] = []
        for place in range(0, len(new_targets), MOST):
            some = new_targets[place : place + MOST]
            ids += client.made("Provisioning.CreateTargets", id=sub_system["id"], targets=some)
        targets = dict(zip(work.targets, ids, strict=True))
        mask = ";".join(work.initiators)
        luns = [{"sizeInBytes": SIZE, "unmaskingList": mask, "targetIds": [targets[name]]} for name, _ in work.each()]
        for place in range(0, len(luns), MOST):
            client.made("Provisioning.CreateLuns", id=sub_system["id"], luns=luns[place : place + MOST])
        cost.total = perf_counter() - begun
        cost.processor, cost.peak = processor(process.pid) - used, peak(process.pid)
        client.close()
        return cost

    def _target(self, client: Client, sub_system: str, name: str, new: bool) -> str:
        """The id of the target with that iSCSI name."""
        if not new:
            targets = client.done("SubSystemIscsi.QueryTargets", id=sub_system)["targets"]
            found: str = next(target["id"] for target in targets if target["iscsiName"] == name)
            return found
        target: str = client.done("SubSystemIscsi.CreateTarget", id=sub_system, iscsiName=name)["object"]
        group = client.done("IscsiTarget.CreatePortalGroup", id=target)["object"]
        (portal,) = client.done("SubSystemIscsi.QueryPortals", id=sub_system)["portals"]
        client.done("IscsiPortalGroup.AddPortal", id=group, portalId=portal["id"])
        return target
