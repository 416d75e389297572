"""Runs in a guest with systemd, and writes down what the journal and Prometheus get to see; test_units_watched.py reads it."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.systemd.observe import CONFIGURATION, SOCKET, call, finished, run, status, wait_for, wait_until_served

POOL = Path("/srv/pool")
METRICS = "/run/vdsprovd/metrics"
PORT = "127.0.0.1:9860"
SECRET = "secret-of-chap"
UNIT = "vdsprovd.service"

seen: dict[str, Any] = {}


def as_user(name: str, method: str, **parameters: object) -> int:
    """Call a method as that user; gives varlinkctl's status."""
    who = ("setpriv", f"--reuid={name}", "--init-groups", "--regid=nogroup")
    return status(*who, "varlinkctl", "call", SOCKET, f"org.vdsprov.{method}", json.dumps(parameters))


def entries() -> list[dict[str, Any]]:
    """The unit's entries of this boot, with all their fields."""
    lines = run("journalctl", "-b", "-u", UNIT, "-o", "json").splitlines()
    return [json.loads(line) for line in lines]


def scraped(*where: str) -> str:
    """What curl gets of the metrics, as root."""
    return subprocess.run(
        ["python3", "-c", _GET, *where], capture_output=True, text=True, check=False, timeout=60
    ).stdout


_GET = """
import http.client, socket, sys
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(sys.argv[1])
connection.request("GET", "/metrics")
print(connection.getresponse().read().decode())
"""


def configure(metrics: str) -> None:
    """Write the configuration with this table [metrics]."""
    pool = f'[[subsystem.pool]]\nname = "files0"\nkind = "files"\npath = "{POOL}"\n'
    sub_system = '[[subsystem]]\nname = "array0"\niqn-prefix = "iqn.2026-11.org.example"\n'
    roles = '[roles]\nviewer = ["watchers"]\n'
    CONFIGURATION.write_text(f"{roles}[metrics]\n{metrics}\n{sub_system}{pool}")


def main() -> None:
    for user, group in (("insider", "vdsprov"), ("watcher", "watchers"), ("scraper", "scrapers")):
        status("groupadd", group)
        run("useradd", "--no-create-home", "--groups", group, user)
    run("journalctl", "--update-catalog")
    POOL.mkdir(mode=0o700)
    configure(f'listen = "{METRICS}"\ngroup = "scrapers"')
    run("systemctl", "start", "vdsprovd.socket")
    wait_until_served()
    sub_system = call("HwProvider.QuerySubSystems")["subSystems"][0]["id"]
    lun = finished("SubSystem.CreateLun", id=sub_system, type="simple", sizeInBytes=1 << 20)
    target = finished("SubSystemIscsi.CreateTarget", id=sub_system, iscsiName="iqn.2026-11.org.example:watched")
    group = finished("IscsiTarget.CreatePortalGroup", id=target)
    portal = call("SubSystemIscsi.QueryPortals", id=sub_system)["portals"][0]
    finished("IscsiPortalGroup.AddPortal", id=group, portalId=portal["id"])
    call("IscsiTarget.SetSharedSecret", id=target, targetSharedSecret=SECRET)
    Path(SOCKET).chmod(0o666)
    seen["statuses"] = {
        "a LUN without an end": as_user("root", "Lun.Extend", id=lun, numberOfBytesToAdd=1 << 50),
        "insider": as_user("insider", "LunNaming.SetFriendlyName", id=lun, friendlyName="watched"),
        "watcher": as_user("watcher", "LunNaming.SetFriendlyName", id=lun, friendlyName="not allowed"),
        "scraper": as_user("scraper", "Provider.GetProperties"),
    }
    for file in Path("/sys/kernel/config/target/iscsi/iqn.2026-11.org.example:watched/tpgt_1/np").iterdir():
        file.rmdir()
    removal = call("IscsiPortalGroup.RemovePortal", id=group, portalId=portal["id"])
    call("Async.Wait", id=removal["async"])
    run("vdsprovctl", "recover")
    who = ("setpriv", "--reuid=scraper", "--init-groups", "--regid=nogroup", "python3", "-c", _GET, METRICS)
    seen["metrics"] = {
        "mode": oct(Path(METRICS).stat().st_mode & 0o777),
        "as root": scraped(METRICS),
        "as scraper": status(*who),
        "as insider": status(*(word.replace("scraper", "insider") for word in who)),
    }

    # The sandbox opens no port.
    configure('listen = "127.0.0.1:9999"')
    seen["reload"] = status("systemctl", "reload", UNIT)
    wait_for(lambda: any(entry.get("VDS_EVENT") == "no_metrics" for entry in entries()))
    seen["socket is gone"] = not Path(METRICS).exists()

    # systemd does.
    run("systemctl", "enable", "vdsprovd-metrics.socket")
    run("systemctl", "restart", "vdsprovd.socket", UNIT)
    wait_until_served()
    with urllib.request.urlopen(f"http://{PORT}/metrics", timeout=30) as reply:
        seen["by port"] = reply.read().decode()
    run("systemctl", "stop", "vdsprovd.socket", UNIT)
    seen["stopped"] = {
        unit: subprocess.run(
            ["systemctl", "is-active", unit], capture_output=True, text=True, check=False
        ).stdout.strip()
        for unit in ("vdsprovd-metrics.socket", "vdsprovd.socket", UNIT)
    }
    seen["verify"] = subprocess.run(
        ["systemd-analyze", "verify", "vdsprovd-metrics.socket"], capture_output=True, text=True, check=False
    ).stderr
    seen["entries"] = entries()
    seen["explained"] = run("journalctl", "-b", "-u", UNIT, "-x", "VDS_EVENT=cache_corrupt")
    seen["everything"] = run("journalctl", "-b", "-o", "export")
    seen["ids"] = {"sub_system": sub_system, "lun": lun, "target": target, "group": group}
    seen["uids"] = {name: run("id", "-u", name) for name in ("insider", "watcher", "scraper")}


if __name__ == "__main__":
    main()
    with Path(sys.argv[1]).open("w") as file:
        json.dump(seen, file)
