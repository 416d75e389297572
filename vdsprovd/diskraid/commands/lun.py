"""LUNs: CREATE, DELETE, EXTEND, SHRINK, ADD PLEX, BREAK, RECOVER, UNMASK."""

from typing import Any, Final

from vdsprovd.diskraid import hints, local_disks, values
from vdsprovd.diskraid.grammar import Flag, Form, Given, Parameter, usage
from vdsprovd.diskraid.layout import size, words
from vdsprovd.diskraid.problems import Mistake, NotSelected
from vdsprovd.diskraid.session import Session

_TYPES: Final = {"simple": "simple", "stripe": "stripe", "raid": "parity", "mirror": "mirror"}

SIZE: Final = Parameter(
    "size",
    values.size,
    "<size>",
    "a number and B, KB, MB, GB, TB or PB right after it; MB if there is no unit. Units are powers of 1024",
)
_NEEDED_SIZE: Final = Parameter("size", values.size, "<size>", SIZE.help, required=True)
_DRIVES: Final = Parameter(
    "drives", values.numbers, "<n>[,<n>[,...]]", "the drives to use, in their order; the daemon chooses if left out"
)
_UNINSTALL: Final = Flag("uninstall", "first let this host's disks of the LUN go")


def _create(session: Session, given: Given) -> None:
    sub_system = session.focus.require("subsystem")
    wish: dict[str, Any] = {"type": _TYPES[given.words[2]], "driveIds": _chosen_drives(session, given)}
    if stripe := given.get("stripesize"):
        wish["hints"] = {"stripeSize": stripe}
    bytes = given.get("size")
    if bytes is None:
        if not wish["driveIds"]:
            raise Mistake("SIZE= or DRIVES= is needed\n" + usage(_CREATE))
        bytes = session.client.call("SubSystem.QueryMaxLunCreateSize", id=sub_system, **wish)["maxLunSize"]
    _made(session, session.client.call("SubSystem.CreateLun", id=sub_system, sizeInBytes=bytes, **wish))


def _create_automagic(session: Session, given: Given) -> None:
    reply = session.client.call(
        "SubSystem.CreateLun",
        id=session.focus.require("subsystem"),
        type=hints.lun_type(session.hints),
        sizeInBytes=given.get("size"),
        hints=hints.wanted(session.hints) or None,
    )
    _made(session, reply)


def _made(session: Session, reply: dict[str, Any]) -> None:
    lun = session.wait(reply["async"])["object"]
    number = session.focus.add("lun", lun)
    found = session.properties("Lun", lun)
    what = f"{words(found['type'])}, {size(found['size'])}"
    session.say("", f"LUN {number} ({what}) was created and is now the selected LUN.")


def _delete(session: Session, given: Given) -> None:
    lun = session.focus.require("lun")
    number = session.focus.number("lun", lun)
    if _UNINSTALL.word in given.flags:
        local_disks.uninstall(session, lun)
    session.client.call("Lun.Delete", id=lun)
    session.focus.forget(lun)
    session.say("", f"LUN {number} was deleted.")


def _extend(session: Session, given: Given) -> None:
    lun = session.focus.require("lun")
    drives = _chosen_drives(session, given)
    bytes = given.get("size")
    if bytes is None:
        if not drives:
            raise Mistake("SIZE= or DRIVES= is needed\n" + usage(_EXTEND))
        bytes = session.client.call("Lun.QueryMaxLunExtendSize", id=lun, driveIds=drives)["maxBytesToBeAdded"]
    session.wait(session.client.call("Lun.Extend", id=lun, numberOfBytesToAdd=bytes, driveIds=drives)["async"])
    _say_size(session, lun, "extended")


def _shrink(session: Session, given: Given) -> None:
    lun = session.focus.require("lun")
    session.wait(session.client.call("Lun.Shrink", id=lun, numberOfBytesToRemove=given.get("size"))["async"])
    _say_size(session, lun, "shrunk")


def _say_size(session: Session, lun: str, done: str) -> None:
    session.say("", f"The LUN was {done}; it has {size(session.properties('Lun', lun)['size'])} now.")


def _chosen_drives(session: Session, given: Given) -> list[str] | None:
    chosen = given.get("drives")
    return None if chosen is None else [session.focus.at("drive", number) for number in chosen]


def _add_plex(session: Session, given: Given) -> None:
    lun = session.focus.require("lun")
    absorbed = session.focus.at("lun", given.get("lun"))
    session.wait(session.client.call("Lun.AddPlex", id=lun, lunId=absorbed)["async"])
    session.focus.forget(absorbed)
    session.say("", f"LUN {given.get('lun')} is now a plex of the selected LUN, and no LUN any more.")


def _break(session: Session, given: Given) -> None:
    lun = session.focus.require("lun")
    plexes = session.client.query("Lun.QueryPlexes", id=lun)
    number = given.get("plex")
    if number >= len(plexes):
        raise NotSelected(f"the selected LUN has no plex {number}: DETAIL LUN VERBOSE shows its plexes")
    session.wait(session.client.call("Lun.RemovePlex", id=lun, plexId=plexes[number]["id"])["async"])
    session.say("", f"Plex {number} was removed. The numbers of the plexes after it are one less now.")


def _recover(session: Session, _: Given) -> None:
    session.wait(session.client.call("Lun.Recover", id=session.focus.require("lun"))["async"])
    session.say("", "The LUN was recovered.")


def _unmask_all(session: Session, given: Given) -> None:
    _set_mask(session, given, "*", "The LUN is unmasked to all hosts.")


def _unmask_none(session: Session, given: Given) -> None:
    _set_mask(session, given, "", "The LUN is masked from all hosts.")


def _unmask(session: Session, given: Given) -> None:
    wwns, initiators = given.get("wwn"), given.get("initiator")
    if (wwns is None) == (initiators is None):
        raise Mistake("either INITIATOR= or WWN= is needed\n" + usage(_UNMASK))
    hosts = list(wwns or initiators)
    if "add" in given.flags:
        mask = session.properties("Lun", session.focus.require("lun"))["unmaskingList"]
        if mask == "*":
            session.say("", "The LUN is unmasked to all hosts already.")
            return
        hosts = [name for name in mask.split(";") if name] + hosts
    hosts = list(dict.fromkeys(hosts))
    _set_mask(session, given, ";".join(hosts), f"The LUN is unmasked to {', '.join(hosts)}.")


def _set_mask(session: Session, given: Given, mask: str, done: str) -> None:
    lun = session.focus.require("lun")
    if _UNINSTALL.word in given.flags:
        local_disks.uninstall(session, lun)
    session.client.call("Lun.SetMask", id=lun, unmaskingList=mask)
    session.say("", done)


_STRIPE_SIZE: Final = Parameter("stripesize", values.size, "<size>", "the stripe size; units as for size=")

_CREATE: Final = (
    Form(
        ("create", "lun", ("simple", "stripe", "raid", "mirror")),
        _create,
        "Creates a LUN on the selected subsystem, which nobody can reach yet, and selects it. RAID is striped with parity. "
        "Without size= it is as large as the drives allow.",
        calls="SubSystem.CreateLun, SubSystem.QueryMaxLunCreateSize",
        parameters=(SIZE, _DRIVES, _STRIPE_SIZE),
        noerr=True,
        difference="`stripesize=` is for STRIPE only; with the others the daemon answers `VDS_E_NOT_SUPPORTED`.",
    ),
    Form(
        ("create", "lun", "automagic"),
        _create_automagic,
        "Creates a LUN by the automagic flags that are set, and selects it.",
        calls="SubSystem.CreateLun",
        parameters=(_NEEDED_SIZE,),
        noerr=True,
    ),
)
_EXTEND: Final = (
    Form(
        ("extend", "lun"),
        _extend,
        "Makes the selected LUN larger by that size, or without size= by as much as the drives allow. Partitions and file "
        "systems on it stay as they are.",
        calls="Lun.Extend, Lun.QueryMaxLunExtendSize",
        parameters=(SIZE, _DRIVES),
        noerr=True,
    ),
)
_UNMASK: Final = (
    Form(
        ("unmask", "lun", "all"),
        _unmask_all,
        "Makes the selected LUN accessible to all hosts.",
        calls="Lun.SetMask",
        flags=(_UNINSTALL,),
        difference="All hosts are this host's initiators, as with most providers: LIO has no grant to everybody.",
    ),
    Form(
        ("unmask", "lun", "none"),
        _unmask_none,
        "Makes the selected LUN accessible to no host.",
        calls="Lun.SetMask",
        flags=(_UNINSTALL,),
    ),
    Form(
        ("unmask", "lun"),
        _unmask,
        "Makes the selected LUN accessible to these hosts and no others, or with ADD to them as well.",
        calls="Lun.SetMask",
        parameters=(
            Parameter("wwn", values.names, "<wwn>[;<wwn>[;...]]", "ports of Fibre Channel or SAS adapters"),
            Parameter("initiator", values.names, "<name>[;<name>[;...]]", "iSCSI names of initiators"),
        ),
        flags=(Flag("add", "keep the hosts that can access it", early=True), _UNINSTALL),
        rest="[add] {wwn=<wwn>[;<wwn>[;...]] | initiator=<name>[;<name>[;...]]} [uninstall]",
        difference="With `wwn=` the daemon answers an error: it is an iSCSI array.",
    ),
)

FORMS: Final = (
    Form(
        ("add", "plex"),
        _add_plex,
        "Makes another LUN a plex, a copy, of the selected one. All data on the other LUN is lost.",
        calls="Lun.AddPlex",
        parameters=(Parameter("lun", values.number, "<n>", "the LUN that becomes a plex", required=True),),
        noerr=True,
    ),
    Form(
        ("break",),
        _break,
        "Removes a plex of the selected LUN. What was on the plex is not kept.",
        calls="Lun.RemovePlex",
        parameters=(
            Parameter("plex", values.number, "<n>", "the plex, by its number in DETAIL LUN VERBOSE", required=True),
        ),
        noerr=True,
    ),
    *_CREATE,
    Form(
        ("delete", "lun"),
        _delete,
        "Deletes the selected LUN, and all data on it. It does not ask.",
        calls="Lun.Delete",
        flags=(_UNINSTALL,),
        noerr=True,
    ),
    *_EXTEND,
    Form(
        ("recover", "lun"),
        _recover,
        "Repairs the selected fault-tolerant LUN: it is synchronized, with hot spares where drives failed.",
        calls="Lun.Recover",
    ),
    Form(
        ("shrink", "lun"),
        _shrink,
        "Makes the selected LUN smaller by that size. What is at its end is lost.",
        calls="Lun.Shrink",
        parameters=(_NEEDED_SIZE,),
        noerr=True,
        difference="Nobody looks whether a file system uses the end: VDS does so only for disks of Windows.",
    ),
    *_UNMASK,
)
