"""The methods of the API that no verb calls, and why: `vdsprovctl call` calls them all the same."""

from typing import Final

_REFUSES: Final = "it is always refused, as VDS documents it"
_ONE_PROVIDER: Final = "there is one provider, and the daemon is it"
_ALL_AT_ONCE: Final = "Provisioning does the same, and all that is said of the object with it, wholly or not at all"

WITHOUT_VERB: Final = {
    "Service.GetObject": "an id is looked up by the object's own GetProperties",
    "HwProviderType.GetProviderType": "GetProviderType2 says the same",
    "HwProviderPrivateMpio.SetAllPathStatusesFromHbaPort": _REFUSES,
    "StoragePool.GetProvider": _ONE_PROVIDER,
    "SubSystem.GetProvider": _ONE_PROVIDER,
    "SubSystem.CreateLun": _ALL_AT_ONCE,
    "SubSystem2.CreateLun2": _ALL_AT_ONCE,
    "HwProviderStoragePools.CreateLunInStoragePool": _ALL_AT_ONCE,
    "SubSystemIscsi.CreateTarget": _ALL_AT_ONCE,
    "SubSystem.QueryMaxLunCreateSize": "QueryMaxLunCreateSize2 says the same, with more hints",
    "SubSystem.SetControllerStatus": "there is one controller, which controller online and offline set",
    "SubSystemIscsi.SetIpsecGroupPresharedKey": _REFUSES,
    "Controller.GetPortProperties": "the controller's ports are listed with their properties",
    "Lun.QueryHints": "QueryHints2 says the same, and more",
    "Lun.ApplyHints": "ApplyHints2 does the same, and more",
    "LunControllerPorts.AssociateControllerPorts": "a controller has one port: lun controller says it of both",
    "LunControllerPorts.QueryActiveControllerPorts": "a controller has one port: lun controller says it of both",
    "LunPlex.GetLun": "a plex is found by its LUN",
    "LunMpio.SetLoadBalancePolicy": "it can but confirm the policy that is in force",
    "LunMpio.GetSupportedLbPolicies": "there is one, which lun paths shows",
    "IscsiPortal.SetIpsecTunnelAddress": _REFUSES,
    "IscsiPortal.GetIpsecSecurity": _REFUSES,
    "IscsiPortal.SetIpsecSecurity": _REFUSES,
    "IscsiPortalLocal.SetIpsecSecurityLocal": _REFUSES,
    "Async.QueryStatus": "Service.QueryOperations says the same of all operations",
}
