"""CHAP: secrets of the selected target, and of this host's initiator.

A secret is never shown. `secret=*` asks for it at the terminal, unseen.
"""

from typing import Final

from vdsprovd.diskraid import host, records
from vdsprovd.diskraid.grammar import Form, Given, Parameter
from vdsprovd.diskraid.problems import HostFailed, Mistake
from vdsprovd.diskraid.session import Session

_ASK: Final = "*"
_LENGTHS: Final = (12, 16)


def _target_set(session: Session, given: Given) -> None:
    target = session.focus.require("target")
    initiator = given.get("initiator")
    secret = _secret(session, given, "the target's secret")
    session.client.call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=secret, initiatorName=initiator)
    of = f" for {initiator}" if initiator else ""
    session.say("", f"The secret of the selected target{of} was {'set' if secret else 'cleared'}.")


def _target_remember(session: Session, given: Given) -> None:
    target = session.focus.require("target")
    initiator = given.get("initiator")
    secret = _secret(session, given, "the initiator's secret")
    session.client.call(
        "IscsiTarget.RememberInitiatorSharedSecret",
        id=target,
        initiatorName=initiator,
        initiatorSharedSecret=secret,
    )
    done = "remembers the secret of" if secret else "remembers no secret of"
    session.say("", f"The selected target {done} {initiator}.")


def _initiator_set(session: Session, given: Given) -> None:
    text = given.get("target")
    name = target_name(session, text) if text else ""
    secret = _checked(_secret(session, given, "the initiator's secret"))
    if name:
        _write(session, name, {records.USER_IN: name if secret else "", records.PASSWORD_IN: secret or ""})
    elif secret:
        session.secrets[name] = secret
    else:
        session.secrets.pop(name, None)
    session.say("", f"The initiator's secret for {name or 'other targets'} was {'set' if secret else 'cleared'}.")


def _initiator_remember(session: Session, given: Given) -> None:
    name = target_name(session, given.get("target"))
    secret = _checked(_secret(session, given, "the target's secret"))
    user = host.initiator_name() if secret else ""
    _write(session, name, {records.USER: user, records.PASSWORD: secret or ""})
    session.say("", f"The initiator remembers {'the secret' if secret else 'no secret'} of {name}.")


def target_name(session: Session, text: str) -> str:
    """The iSCSI name of a target that is given by its number or by that name."""
    if not text.isdecimal():
        return text
    return str(session.properties("IscsiTarget", session.focus.at("target", int(text)))["iscsiName"])


def _write(session: Session, name: str, settings: dict[str, str]) -> None:
    """Write secrets into the records of a target; where there is none yet, one is made for each of its portals."""
    if records.set_secrets(name, settings):
        return
    ways = [way for id in _targets(session, name) for way in ways_to(session, id, name, "default")]
    if not ways:
        raise HostFailed(f"the selected subsystem has no portal through which {name} can be reached")
    for way in ways:
        records.write(records.ensure(way), settings)


def _targets(session: Session, name: str) -> list[str]:
    targets = session.client.targets(session.focus.require("subsystem"))
    return [target["id"] for target in targets if target["iscsiName"] == name]


def ways_to(session: Session, target: str, name: str, interface: str) -> list[records.Way]:
    """The ways from an interface of this host to a target: one for each of its portals, and online ones first."""
    found = [
        (portal["status"] != "online", portal["address"], group["tag"])
        for group in session.client.portal_groups(target)
        for portal in session.client.portals_of_group(group["id"])
    ]
    return [
        records.Way(name, address["textAddress"], address["port"], tag, interface)
        for _, address, tag in sorted(found, key=lambda way: (way[0], way[2], way[1]["textAddress"], way[1]["port"]))
    ]


def _secret(session: Session, given: Given, purpose: str) -> str | None:
    """The secret that is given, None where it is to be cleared."""
    secret = given.get("secret")
    if secret == _ASK:
        if session.person is None:
            raise Mistake("SECRET=* asks at a terminal, and there is none")
        secret = session.person.secret(purpose)
    return secret or None


def _checked(secret: str | None) -> str | None:
    """A secret for this host: the daemon checks those that are for it."""
    if secret and not _LENGTHS[0] <= len(secret.encode()) <= _LENGTHS[1]:
        raise Mistake(f"SECRET=: a secret has from {_LENGTHS[0]} to {_LENGTHS[1]} bytes")
    return secret


_SECRET: Final = Parameter(
    "secret",
    str,
    "<secret>",
    "12 to 16 bytes, in quotes where it has blanks or =; empty clears it, * asks for it",
    required=True,
    empty=True,
)
_TARGET_HELP: Final = "a target of the selected subsystem by its number, or any by its iSCSI name"
_TARGET: Final = Parameter("target", str, "<target>", _TARGET_HELP, required=True)
_INITIATOR: Final = Parameter("initiator", str, "<initiatorname>", "an initiator's iSCSI name", required=True)
_FOR_INITIATOR: Final = Parameter(
    "initiator", str, "<initiatorname>", "only for that initiator; for all others if left out"
)
_OURS: Final = "`secret=*` is ours."

FORMS: Final = (
    Form(
        ("chap", "initiator", "set"),
        _initiator_set,
        "Sets the secret with which targets authenticate themselves to this host's initiator (mutual CHAP).",
        parameters=(_SECRET, Parameter("target", str, "<target>", f"{_TARGET_HELP}; for all others if left out")),
        difference=f"Without `target=` it lasts as long as the session, and LOGIN writes it into what it uses. {_OURS}",
        calls="open-iscsi's records",
    ),
    Form(
        ("chap", "initiator", "remember"),
        _initiator_remember,
        "Tells this host's initiator the secret of a target, with which it authenticates itself there.",
        parameters=(_SECRET, _TARGET),
        difference=_OURS,
        calls="open-iscsi's records",
    ),
    Form(
        ("chap", "target", "set"),
        _target_set,
        "Sets the secret with which initiators authenticate themselves to the selected target.",
        calls="IscsiTarget.SetSharedSecret",
        parameters=(_SECRET, _FOR_INITIATOR),
        difference=_OURS,
    ),
    Form(
        ("chap", "target", "remember"),
        _target_remember,
        "Tells the selected target the secret of an initiator, with which it authenticates itself there (mutual CHAP).",
        calls="IscsiTarget.RememberInitiatorSharedSecret",
        parameters=(_SECRET, _INITIATOR),
        difference=_OURS,
    ),
)
