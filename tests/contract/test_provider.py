"""What the provider says of itself, and which disks it knows as its LUNs."""

import base64

import pytest

from tests.arrays import Array, Reply
from vdsprovd.model import NULL_GUID

NOT_OURS = {"hresult": 1, "lunId": NULL_GUID}


@pytest.mark.shows("HwProviderType2.GetProviderType2")
@pytest.mark.shows("ProviderSupport.GetVersionSupport")
@pytest.mark.shows("SubSystemInterconnect.GetSupportedInterconnects")
def test_what_kind_of_provider_it_is(array: Array) -> None:
    """It is an iSCSI provider with all versions of VDS's interfaces."""
    assert array.call("HwProviderType2.GetProviderType2") == {"type": "iscsi"}
    assert array.call("ProviderSupport.GetVersionSupport") == {
        "versionSupport": ["v1_0", "v1_1", "v2_0", "v2_1", "v3_0"]
    }
    found = array.call("SubSystemInterconnect.GetSupportedInterconnects", id=array.sub_system)
    assert found == {"supportedInterconnectsFlag": ["iscsi"]}


def asked(array: Array, **information: object) -> Reply:
    """What QueryIfCreatedLun says of a disk."""
    return array.call("HwProviderPrivate.QueryIfCreatedLun", devicePath="/dev/sda", lunInformation=information)


def naa(identifier: bytes) -> Reply:
    """A device identification with one NAA designator."""
    entry = {"codeSet": "binary", "type": "fcph_name", "identifier": base64.b64encode(identifier).decode()}
    return {"version": 1, "identifiers": [entry]}


@pytest.mark.shows("HwProviderPrivate.QueryIfCreatedLun")
@pytest.mark.shows("HwProviderPrivate.QueryIfCreatedLun", "S_FALSE")
def test_a_host_s_disk_is_found_by_what_it_answers(array: Array) -> None:
    """What GetIdentificationData gives leads back to the LUN, whole, or its serial number or NAA alone; a byte more or
    less, what fits two LUNs, or nothing at all, leads nowhere."""
    lun, other = array.make_lun(), array.make_lun()
    known = array.call("Lun.GetIdentificationData", id=lun)["properties"]
    found = {"hresult": 0, "lunId": lun}
    assert asked(array, **known) == found
    assert asked(array, serialNumber=lun) == found
    assert asked(array, deviceIdDescriptor=known["deviceIdDescriptor"]) == found
    for wrong in (lun + " ", lun.upper() + "x", lun[:-1], array.sub_system):
        assert asked(array, serialNumber=wrong) == NOT_OURS
    assert asked(array) == NOT_OURS

    (identifier,) = (
        base64.b64decode(entry["identifier"])
        for entry in known["deviceIdDescriptor"]["identifiers"]
        if entry["type"] == "fcph_name"
    )
    assert asked(array, deviceIdDescriptor=naa(identifier)) == found
    for bytes_of_it in (identifier[:-1], identifier + b"\0", identifier[:-1] + bytes([identifier[-1] ^ 1])):
        assert asked(array, deviceIdDescriptor=naa(bytes_of_it)) == NOT_OURS
    assert asked(array, serialNumber=other, deviceIdDescriptor=naa(identifier)) == NOT_OURS

    array.call("Lun.Delete", id=lun)
    assert asked(array, **known) == NOT_OURS
    assert asked(array, deviceIdDescriptor=naa(identifier)) == NOT_OURS
