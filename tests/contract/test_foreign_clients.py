"""Clients that we did not write: the `varlink` package of PyPI, and systemd's varlinkctl."""

import json
import subprocess
from typing import Any

import pytest
import varlink

from tests.arrays import MIB, Array, LioArray


def test_the_varlink_package_calls_and_introspects(array: Array) -> None:
    """It opens every interface by its description, calls, streams, and gets an error's name and parameters."""
    with varlink.Client(f"unix:{array.socket}") as client:
        for name in client.get_interfaces():
            assert client.get_interface(name).name == name
        with client.open("org.vdsprov.SubSystem") as sub_system, client.open("org.vdsprov.Async") as operation:
            reply = sub_system.CreateLun(id=array.sub_system, type="simple", sizeInBytes=MIB)
            results = list(operation.Wait(id=reply["async"], _more=True))
            lun = results[-1]["object"]
            (batch,) = sub_system.QueryLuns(id=array.sub_system, _more=True)
            assert [entry["id"] for entry in batch["luns"]] == [lun]
        with client.open("org.vdsprov.SubSystemImportTarget") as import_target:
            import_target.SetImportTarget(id=array.sub_system, iscsiName="iqn.2026-11.org.example:a")
            assert import_target.GetImportTarget(id=array.sub_system) == {"iscsiName": "iqn.2026-11.org.example:a"}
            with pytest.raises(varlink.VarlinkError) as raised:
                import_target.GetImportTarget(id=array.sub_system, computer="elsewhere")
            assert raised.value.error() == "org.vdsprov.NoImportTarget"
            assert raised.value.parameters()["hresult"] == 0x80042713
        with client.open("org.vdsprov.LunIscsi") as lun_iscsi:
            assert lun_iscsi.QueryAssociatedTargets(id=lun) == {"targets": []}


def varlinkctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd's varlinkctl."""
    return subprocess.run(["varlinkctl", *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.lab
def test_varlinkctl_calls_and_introspects(lio: LioArray) -> None:
    """It validates every description, calls with and without --more, and names our errors."""
    socket = str(lio.socket)
    interfaces = varlinkctl("list-interfaces", socket).stdout.split()
    assert "org.vdsprov.SubSystemImportTarget" in interfaces
    for interface in interfaces:
        shown = varlinkctl("introspect", socket, interface)
        assert shown.returncode == 0, shown.stderr
        assert f"interface {interface}" in shown.stdout

    def call(method: str, *options: str, **parameters: Any) -> subprocess.CompletedProcess[str]:
        return varlinkctl("call", *options, "--json=short", socket, f"org.vdsprov.{method}", json.dumps(parameters))

    reply = json.loads(call("SubSystem.CreateLun", id=lio.sub_system, type="default", sizeInBytes=MIB).stdout)
    waited = call("Async.Wait", "--more", id=reply["async"]).stdout
    lun = json.loads(waited.replace("\x1e", "").splitlines()[-1])["object"]
    assert json.loads(call("LunIscsi.QueryAssociatedTargets", id=lun).stdout) == {"targets": []}
    failed = call("SubSystemImportTarget.GetImportTarget", id=lio.sub_system)
    assert failed.returncode != 0
    assert "org.vdsprov.NoImportTarget" in failed.stderr
    assert "VDS_E_NO_IMPORT_TARGET" in failed.stdout + failed.stderr
