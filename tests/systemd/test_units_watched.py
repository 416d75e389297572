"""The journal and the metrics under systemd; watch.py does the story in a guest, and the tests here read what it saw."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.scrape import Metrics
from vdsprovd import journal

CHECKOUT = Path(__file__).resolve().parents[2]
SECRET = "secret-of-chap"

pytestmark = [pytest.mark.boots_lab, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What watch.py saw in a guest."""
    folder = tmp_path_factory.mktemp("watched")
    file = folder / "seen"
    options = ["--systemd", "--timeout", "240", "--share", str(folder)]
    command = [str(CHECKOUT / "scripts/lab"), *options, "--", "python3", "-m", "tests.systemd.watch", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def of(seen: dict[str, Any], event: journal.Event) -> list[dict[str, str]]:
    """The journal's entries of that kind, whose id and name belong together."""
    found = [entry for entry in seen["entries"] if entry.get("MESSAGE_ID") == event.id]
    assert all(entry["VDS_EVENT"] == event.name for entry in found)
    return found


def test_who_changed_what(seen: dict[str, Any]) -> None:
    """A call that succeeded has method, object, code and caller; so has the operation that it began."""
    created = next(entry for entry in of(seen, journal.CALL_MADE) if entry["VDS_METHOD"] == "SubSystem.CreateLun")
    assert created["VDS_OBJECT"] == seen["ids"]["sub_system"]
    assert (created["VDS_CALLER_UID"], created["VDS_HRESULT"], created["VDS_CODE"]) == ("0", "0x00000000", "S_OK")
    assert (created["PRIORITY"], created["_TRANSPORT"]) == ("6", "journal")
    assert (created["_SYSTEMD_UNIT"], created["SYSLOG_IDENTIFIER"]) == ("vdsprovd.service", "vdsprovd")
    done = next(entry for entry in of(seen, journal.OPERATION_DONE) if entry["VDS_OBJECT"] == seen["ids"]["lun"])
    assert done["VDS_OPERATION"] == created["VDS_OPERATION"]
    assert done["VDS_CALLER_UID"] == "0"
    named = next(entry for entry in of(seen, journal.CALL_MADE) if entry["VDS_METHOD"] == "LunNaming.SetFriendlyName")
    assert (named["VDS_CALLER_UID"], named["VDS_OBJECT"]) == (seen["uids"]["insider"], seen["ids"]["lun"])


def test_what_failed_and_who_was_refused(seen: dict[str, Any]) -> None:
    """With the code, and as important as it is."""
    assert seen["statuses"]["insider"] == 0
    assert all(code != 0 for name, code in seen["statuses"].items() if name != "insider")
    (failed,) = of(seen, journal.CALL_FAILED)
    assert failed["VDS_METHOD"] == "Lun.Extend"
    assert (failed["VDS_HRESULT"], failed["VDS_CODE"]) == ("0x8004240f", "VDS_E_NOT_ENOUGH_SPACE")
    assert (failed["VDS_OBJECT"], failed["PRIORITY"]) == (seen["ids"]["lun"], "4")
    refused = {(entry["VDS_CALLER_UID"], entry["VDS_METHOD"]) for entry in of(seen, journal.CALL_REFUSED)}
    uids = seen["uids"]
    assert refused == {(uids["watcher"], "LunNaming.SetFriendlyName"), (uids["scraper"], "Provider.GetProperties")}


def test_a_corrupt_cache_is_an_error_that_explains_itself(seen: dict[str, Any]) -> None:
    """`journalctl -x` has the catalog's words for it, and a recovery ends it."""
    (corrupt,) = of(seen, journal.CACHE_CORRUPT)
    assert corrupt["PRIORITY"] == "3"
    assert "vdsprovctl recover" in seen["explained"]
    assert "Subject: The provider cache is corrupt" in seen["explained"]
    assert len(of(seen, journal.CACHE_SOUND)) == 1
    (operation,) = of(seen, journal.OPERATION_FAILED)
    assert (operation["VDS_CODE"], operation["VDS_OBJECT"]) == ("VDS_E_PROVIDER_CACHE_CORRUPT", seen["ids"]["group"])


def test_the_daemon_s_life(seen: dict[str, Any]) -> None:
    """It was ready twice, and stopped twice."""
    assert len(of(seen, journal.READY)) == len(of(seen, journal.STOPPING)) == 2


def test_no_secret_is_in_the_journal(seen: dict[str, Any]) -> None:
    """Not in any field of any entry of that boot."""
    assert any(entry.get("VDS_METHOD") == "IscsiTarget.SetSharedSecret" for entry in seen["entries"])
    assert SECRET not in seen["everything"]


def test_metrics_on_a_socket(seen: dict[str, Any]) -> None:
    """For root and the group that is named, and for nobody else, though it may call."""
    found = seen["metrics"]
    assert found["mode"] == "0o660"
    assert (found["as scraper"], found["as insider"]) == (0, 1)
    metrics = Metrics(found["as root"])
    assert metrics.value("vdsprovd_luns", subsystem="array0", status="online", health="healthy") == 1
    labels = {"method": "Lun.Extend", "code": "VDS_E_NOT_ENOUGH_SPACE"}
    assert metrics.value("vdsprovd_call_errors_total", **labels) == 1


def test_metrics_at_a_port(seen: dict[str, Any]) -> None:
    """The sandbox lets the daemon open none, which it says; systemd opens it, and closes it with the API's socket."""
    assert seen["reload"] == 0
    assert seen["socket is gone"]
    (complaint,) = of(seen, journal.NO_METRICS)
    assert "enable vdsprovd-metrics.socket" in complaint["MESSAGE"]
    assert complaint["PRIORITY"] == "3"
    assert Metrics(seen["by port"]).value("vdsprovd_luns", subsystem="array0") == 1
    assert seen["verify"] == ""
    assert set(seen["stopped"].values()) == {"inactive"}
