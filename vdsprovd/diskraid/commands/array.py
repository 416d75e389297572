"""What goes for several kinds of the array's objects: names, status, maintenance, caches; and what finds them."""

from collections.abc import Mapping
from typing import Final

from vdsprovd.diskraid import values
from vdsprovd.diskraid.grammar import Form, Given, Operand, Parameter
from vdsprovd.diskraid.kinds import KINDS
from vdsprovd.diskraid.problems import HostFailed, Mistake
from vdsprovd.diskraid.session import Session
from vdsprovd.hresult import Hresult

_INTERFACES: Final[Mapping[str, str]] = {
    "subsystem": "SubSystem",
    "controller": "Controller",
    "port": "ControllerPort",
    "drive": "Drive",
    "lun": "Lun",
    "tportal": "IscsiPortal",
}
_NAMED: Final[Mapping[str, str]] = {"subsystem": "SubSystemNaming", "lun": "LunNaming", "target": "IscsiTarget"}
_OPERATIONS: Final[Mapping[str, str]] = {
    "spinup": "spin_up",
    "spindown": "spin_down",
    "blink": "blink_light",
    "beep": "beep_alarm",
    "ping": "ping",
}
_LONGEST_NAME: Final = 63


def _name(session: Session, given: Given) -> None:
    word = given.words[1]
    id = session.focus.require(word)
    name = given.operand or ""
    reply = session.client.call(f"{_NAMED[word]}.SetFriendlyName", id=id, friendlyName=name)
    shortened = " The name was shortened." if reply["hresult"] == Hresult.VDS_S_NAME_TRUNCATED else ""
    done = f"was named {name}" if name else "has no name now"
    session.say("", f"The selected {KINDS[word].noun} {done}.{shortened}")


def _read_name(text: str) -> str:
    if len(text) > _LONGEST_NAME:
        raise ValueError("the name must have fewer than 64 characters")
    return text


def _set_status(session: Session, given: Given) -> None:
    status, word = given.words
    id = session.focus.require(word)
    session.client.call(f"{_INTERFACES[word]}.SetStatus", id=id, status=status)
    session.say("", f"The selected {KINDS[word].noun} is {status} now.")


def _maintain(session: Session, given: Given) -> None:
    _, word, operation = given.words
    id = session.focus.require(word)
    count = given.get("count")
    what = {"id": id, "operation": _OPERATIONS[operation]}
    if count == 0:
        stopped = session.client.call("Maintenance.StopMaintenance", **what)["hresult"] != Hresult.S_FALSE
        session.say("", f"{operation.upper()} was stopped." if stopped else f"{operation.upper()} was not running.")
        return
    session.client.call("Maintenance.StartMaintenance", **what)
    if count is None:
        session.say("", f"{operation.upper()} was started; MAINTENANCE with COUNT=0 stops it.")
        return
    session.client.call("Maintenance.PulseMaintenance", count=count, **what)
    session.say("", f"{operation.upper()} was started, for {count} times.")


def _reenumerate_sub_systems(session: Session, _: Given) -> None:
    session.focus.require("provider")
    session.client.call("HwProvider.Reenumerate")
    session.say("", "The subsystems were reenumerated.")


def _reenumerate_drives(session: Session, _: Given) -> None:
    session.client.call("SubSystem.Reenumerate", id=session.focus.require("subsystem"))
    session.say("", "The drives were reenumerated.")


def _refresh(session: Session, _: Given) -> None:
    session.focus.require("provider")
    session.client.call("HwProvider.Refresh")
    session.say("", "The provider was refreshed.")


def _replace(session: Session, given: Given) -> None:
    drive = session.focus.require("drive")
    old = session.focus.at("drive", given.get("drive"))
    if old == drive:
        raise Mistake("a drive cannot replace itself: select the one that takes the other's place")
    session.client.call(
        "SubSystem.ReplaceDrive",
        id=session.focus.require("subsystem"),
        driveToBeReplaced=old,
        replacementDrive=drive,
    )
    session.say("", f"Drive {given.get('drive')} was replaced by the selected drive.")


def _reset(session: Session, given: Given) -> None:
    word = given.words[1]
    session.client.call(f"{_INTERFACES[word]}.Reset", id=session.focus.require(word))
    session.say("", f"The selected {KINDS[word].noun} was reset.")


def _flush_cache(session: Session, _: Given) -> None:
    session.client.call("Controller.FlushCache", id=session.focus.require("controller"))
    session.say("", "The cache of the selected controller was flushed.")


def _invalidate_cache(session: Session, _: Given) -> None:
    session.client.call("Controller.InvalidateCache", id=session.focus.require("controller"))
    session.say("", "The cache of the selected controller was invalidated.")


def _set_flag(session: Session, given: Given) -> None:
    drive = session.focus.require("drive")
    wanted = given.get("hotspare")
    session.client.call(f"Drive.{'SetFlags' if wanted else 'ClearFlags'}", id=drive, flags=["hotspare"])
    session.say("", f"The selected drive is {'a hot spare now' if wanted else 'no hot spare now'}.")


def _set_paths(session: Session, given: Given) -> None:
    status = given.words[0]
    port = session.focus.require("hbaport")
    found = [entry for entry in KINDS["hbaport"].find(session, "") if entry["id"] == port]
    if not found:
        raise HostFailed(f"{port} is not on this host any more")
    session.client.call(
        "HwProviderPrivateMpio.SetAllPathStatusesFromHbaPort",
        wwnNode=found[0]["nodeWwn"],
        wwnPort=found[0]["portWwn"],
        status=status,
    )
    session.say("", f"The paths of the selected HBA port are {status} now.")


_STATES: Final = ("subsystem", "controller", "drive", "lun", "tportal")
_NO_HBA: Final = "An iSCSI array has no paths from HBA ports: the daemon answers `VDS_E_NOT_SUPPORTED`."

FORMS: Final = (
    Form(
        ("flushcache", "controller"),
        _flush_cache,
        "Writes out the cache of the selected controller.",
        calls="Controller.FlushCache",
    ),
    Form(
        ("invalidatecache", "controller"),
        _invalidate_cache,
        "Invalidates the cache of the selected controller.",
        calls="Controller.InvalidateCache",
    ),
    Form(
        ("maintenance", ("subsystem", "controller", "port", "drive", "lun"), tuple(_OPERATIONS)),
        _maintain,
        "Starts a maintenance operation on the selected object of a kind: for a number of times, or until it is stopped.",
        calls="Maintenance.StartMaintenance, Maintenance.PulseMaintenance, Maintenance.StopMaintenance",
        parameters=(Parameter("count", values.number, "<n>", "how many times; 0 stops what runs"),),
        difference="`count=0`, which stops the operation, is ours: DiskRAID cannot stop one.",
    ),
    Form(
        ("name", tuple(_NAMED)),
        _name,
        "Gives the selected object of a kind a friendly name, or without a name takes the name that it has.",
        calls="SubSystemNaming.SetFriendlyName, LunNaming.SetFriendlyName, IscsiTarget.SetFriendlyName",
        operand=Operand(_read_name, "<name>", "fewer than 64 characters; in quotes where it has blanks"),
    ),
    Form(
        ("offline", _STATES),
        _set_status,
        "Sets the selected object of a kind offline.",
        calls="SetStatus of the object",
    ),
    Form(
        ("online", _STATES), _set_status, "Sets the selected object of a kind online.", calls="SetStatus of the object"
    ),
    Form(
        ("online", "hbaport"),
        _set_paths,
        "Sets the paths from the selected HBA port online.",
        calls="HwProviderPrivateMpio.SetAllPathStatusesFromHbaPort",
        difference=_NO_HBA,
    ),
    Form(
        ("reenumerate", "subsystems"),
        _reenumerate_sub_systems,
        "Makes the selected provider look for subsystems.",
        calls="HwProvider.Reenumerate",
    ),
    Form(
        ("reenumerate", "drives"),
        _reenumerate_drives,
        "Makes the selected subsystem look for drives.",
        calls="SubSystem.Reenumerate",
    ),
    Form(
        ("refresh", "provider"),
        _refresh,
        "Makes the selected provider read anew what it knows. After REENUMERATE SUBSYSTEMS, it recovers a corrupt cache.",
        calls="HwProvider.Refresh",
    ),
    Form(
        ("replace",),
        _replace,
        "Replaces a drive by the selected one.",
        calls="SubSystem.ReplaceDrive",
        parameters=(Parameter("drive", values.number, "<n>", "the drive that is replaced", required=True),),
    ),
    Form(
        ("reset", ("controller", "port")),
        _reset,
        "Resets the selected controller or port.",
        calls="Controller.Reset, ControllerPort.Reset",
    ),
    Form(
        ("setflag", "drive"),
        _set_flag,
        "Makes the selected drive, which no LUN may use, a hot spare, or none any more.",
        calls="Drive.SetFlags, Drive.ClearFlags",
        parameters=(Parameter("hotspare", values.truth, "{true | false}", "whether it is a spare", required=True),),
    ),
    Form(
        ("standby", "hbaport"),
        _set_paths,
        "Sets the paths from the selected HBA port to standby.",
        calls="HwProviderPrivateMpio.SetAllPathStatusesFromHbaPort",
        difference=_NO_HBA,
    ),
)
