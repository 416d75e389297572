"""The methods that VDS reserves for IPsec."""

import pytest

from tests.arrays import Array

ADDRESS_PARAMETER = {"type": "text", "textAddress": "10.77.0.9", "port": 3260}

IPSEC: dict[str, dict[str, object]] = {
    "SubSystemIscsi.SetIpsecGroupPresharedKey": {"key": "a-secret-of-theirs"},
    "IscsiPortal.SetIpsecTunnelAddress": {"tunnelAddress": ADDRESS_PARAMETER, "destinationAddress": ADDRESS_PARAMETER},
    "IscsiPortal.GetIpsecSecurity": {"initiatorPortalAddress": ADDRESS_PARAMETER},
    "IscsiPortalLocal.SetIpsecSecurityLocal": {"securityFlags": 0, "key": "a-secret-of-theirs"},
    "IscsiPortal.SetIpsecSecurity": {"initiatorPortalAddress": ADDRESS_PARAMETER, "securityFlags": 0},
}
"""What each is called with, besides the id."""


@pytest.mark.shows("IscsiPortal.GetIpsecSecurity", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows("IscsiPortal.SetIpsecSecurity", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows("IscsiPortal.SetIpsecTunnelAddress", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows("SubSystemIscsi.SetIpsecGroupPresharedKey", "VDS_E_NOT_SUPPORTED")
@pytest.mark.shows("IscsiPortalLocal.SetIpsecSecurityLocal", "VDS_E_NOT_SUPPORTED")
def test_ipsec_is_not_supported(array: Array) -> None:
    """Each answers VDS_E_NOT_SUPPORTED, as VDS documents it, with what to do instead, and keeps no key."""
    sub_system, portal = array.sub_system, array.portals()[0]
    for name, parameters in IPSEC.items():
        id = sub_system if name.startswith("SubSystem") else portal
        assert array.error(name, id=id, **parameters) == "VDS_E_NOT_SUPPORTED"


@pytest.mark.shows("HwProviderPrivateMpio.SetAllPathStatusesFromHbaPort", "VDS_E_NOT_SUPPORTED")
def test_paths_from_adapters_of_other_kinds(array: Array) -> None:
    """iSCSI has no paths from ports of Fibre Channel adapters: VDS_E_NOT_SUPPORTED."""
    port = {"wwnNode": "2000001b321c0000", "wwnPort": "2100001b321c0000", "status": "standby"}
    assert array.error("HwProviderPrivateMpio.SetAllPathStatusesFromHbaPort", **port) == "VDS_E_NOT_SUPPORTED"
