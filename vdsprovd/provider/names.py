"""Names that callers give: iSCSI names, friendly names and unmasking lists, checked and brought into their one form."""

import re
import secrets
from functools import lru_cache

from vdsprovd.hresult import Hresult, VdsError
from vdsprovd.provider.facts import EVERYBODY

ISCSI_NAME_LENGTH = 223
FRIENDLY_NAME_LENGTH = 255
"""Bytes of UTF-8: the longest TargetAlias (RFC 7143 13.5)."""

# RFC 3720 3.2.6.3 and RFC 3722: a date, a reversed domain, and after a colon anything of [a-z0-9.:-].
_IQN = re.compile(r"iqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[a-z0-9-]+(\.[a-z0-9-]+)+(:[a-z0-9.:-]+)?")
_EUI = re.compile(r"eui\.[0-9a-f]{16}")
_NAA = re.compile(r"naa\.[0-9a-f]{16}([0-9a-f]{16})?")


def iscsi_name(name: str, what: str = "the iSCSI name") -> str:
    """The name in its normal form, lower case (RFC 3722). Raises E_INVALIDARG for what is no iSCSI name."""
    # Some characters beyond ASCII have a lower case in ASCII.
    normal = name.lower() if name.isascii() else name
    if len(normal) > ISCSI_NAME_LENGTH:
        raise VdsError(Hresult.E_INVALIDARG, f"{what} has {len(normal)} characters; {ISCSI_NAME_LENGTH} are allowed")
    if not any(form.fullmatch(normal) for form in (_IQN, _EUI, _NAA)):
        raise VdsError(
            Hresult.E_INVALIDARG, f"{what} {name!r} is not valid; it looks like iqn.2026-11.org.example:disk1"
        )
    return normal


def generated_iscsi_name(prefix: str) -> str:
    """A name for a target, unique by chance alone: it must differ from every target on the network, known or not."""
    return f"{prefix}:{secrets.token_hex(8)}"


def friendly_name(name: str) -> tuple[str, Hresult]:
    """The name as it is stored, and S_OK or VDS_S_NAME_TRUNCATED. Raises E_INVALIDARG for control characters."""
    if not name.isprintable():
        raise VdsError(Hresult.E_INVALIDARG, f"the name {name!r} has characters that cannot be printed")
    encoded = name.encode()
    if len(encoded) <= FRIENDLY_NAME_LENGTH:
        return name, Hresult.S_OK
    return encoded[:FRIENDLY_NAME_LENGTH].decode(errors="ignore"), Hresult.VDS_S_NAME_TRUNCATED


@lru_cache(maxsize=64)
def unmasking_list(text: str) -> tuple[str, ...]:
    """The initiators of a list, each once, in the order given; ("*",) for everybody, () for nobody.

    Raises E_INVALIDARG when "*" does not stand alone or an entry is no iSCSI name.
    """
    entries = [entry.strip() for entry in text.split(";")]
    names = [entry for entry in entries if entry]
    if EVERYBODY in names:
        if len(set(names)) > 1:
            raise VdsError(Hresult.E_INVALIDARG, 'the unmasking list has "*" next to other names; it must stand alone')
        return (EVERYBODY,)
    return tuple(dict.fromkeys(iscsi_name(entry, "the unmasking list's entry") for entry in names))


def chap_secret(secret: str) -> str:
    """The secret. Raises E_INVALIDARG when it is not 12 to 16 bytes long; the message does not show it."""
    if not 12 <= len(secret.encode()) <= 16:
        raise VdsError(Hresult.E_INVALIDARG, "a CHAP secret has 12 to 16 bytes")
    if secret.startswith("NULL"):
        raise VdsError(Hresult.E_INVALIDARG, "a CHAP secret cannot begin with NULL: the kernel takes it for none")
    if not secret.isprintable():
        raise VdsError(Hresult.E_INVALIDARG, "a CHAP secret has printable characters only")
    return secret
