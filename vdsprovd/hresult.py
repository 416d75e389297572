"""The HRESULTs of a VDS hardware provider, and the one exception that carries them.

Values are those of vdserr.h: severity bit, facility ITF, code. Compare whole values, never low words: success and
error codes share some of them.
"""

from enum import IntEnum


class Hresult(IntEnum):
    """An HRESULT as the unsigned 32-bit number that goes on the wire; its name is the C symbol."""

    # Standard COM.
    S_OK = 0x00000000
    S_FALSE = 0x00000001
    E_NOTIMPL = 0x80004001
    E_FAIL = 0x80004005
    E_UNEXPECTED = 0x8000FFFF
    E_ACCESSDENIED = 0x80070005
    E_OUTOFMEMORY = 0x8007000E
    E_INVALIDARG = 0x80070057

    # Any object.
    VDS_E_NOT_SUPPORTED = 0x80042400
    VDS_E_ANOTHER_CALL_IN_PROGRESS = 0x80042404
    VDS_E_OBJECT_NOT_FOUND = 0x80042405
    VDS_E_OBJECT_DELETED = 0x8004240B
    VDS_E_INVALID_OPERATION = 0x80042415
    VDS_E_OBJECT_EXISTS = 0x8004241D
    VDS_E_OBJECT_STATUS_FAILED = 0x80042431
    VDS_E_INTERNAL_ERROR = 0x80042448
    VDS_S_NAME_TRUNCATED = 0x00042700
    VDS_E_NAME_NOT_UNIQUE = 0x80042701
    VDS_S_ALREADY_EXISTS = 0x00042714
    VDS_S_PROPERTIES_INCOMPLETE = 0x00042715

    # The provider's life and its cache.
    VDS_E_INITIALIZED_FAILED = 0x80042401
    VDS_E_INITIALIZE_NOT_CALLED = 0x80042402
    VDS_E_PROVIDER_CACHE_CORRUPT = 0x8004241F
    VDS_E_PROVIDER_FAILURE = 0x80042442
    VDS_E_PROVIDER_EXITING = 0x80042514

    # Asynchronous operations.
    VDS_E_OPERATION_PENDING = 0x80042409
    VDS_E_CANCEL_TOO_LATE = 0x8004240C
    VDS_E_OPERATION_CANCELED = 0x8004240D

    # Space and drives.
    VDS_E_NOT_ENOUGH_SPACE = 0x8004240F
    VDS_E_NOT_ENOUGH_DRIVE = 0x80042410

    # iSCSI.
    VDS_E_INITIATOR_SPECIFIC_NOT_SUPPORTED = 0x80042707
    VDS_E_ASSOCIATED_LUNS_EXIST = 0x8004270B
    VDS_E_ASSOCIATED_PORTALS_EXIST = 0x8004270C
    VDS_E_NO_IMPORT_TARGET = 0x80042713

    @property
    def failed(self) -> bool:
        """True for an error, false for every success code (S_OK, S_FALSE, VDS_S_...)."""
        return bool(self & 0x80000000)

    @property
    def error_name(self) -> str:
        """The code's name on the wire, without interface: VDS_E_NO_IMPORT_TARGET is NoImportTarget."""
        words = self.name.removeprefix("VDS_").split("_")[1:]
        return "".join(_WORDS.get(word) or word.capitalize() for word in words)


# Symbols that run words together get their words back.
_WORDS = {
    "INVALIDARG": "InvalidArg",
    "ACCESSDENIED": "AccessDenied",
    "OUTOFMEMORY": "OutOfMemory",
    "NOTIMPL": "NotImpl",
}


class VdsError(Exception):
    """A call failed: `code`, a `message` that a person can act on, and the id of the `object` it is about, if any."""

    def __init__(self, code: Hresult, message: str, object: str | None = None) -> None:
        super().__init__(f"{message} ({code.name} {code:#010x})")
        self.code = code
        self.message = message
        self.object = object
