"""How metrics are defined and served: Prometheus's conventions, and an endpoint that nobody can make costly."""

import http.client
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.arrays import MIB, SimulatedArray
from tests.contract.test_reload import soon
from tests.scrape import Unix, get, scrape, watched
from vdsprovd.config import ConfigError, check
from vdsprovd.hardware import Count, Disk, Unit
from vdsprovd.metrics import endpoint
from vdsprovd.metrics.definitions import METRICS, Kind


@pytest.fixture
def path(simulated: SimulatedArray) -> Path:
    """Where the metrics are."""
    found = watched(simulated)
    assert soon(found.is_socket)
    return found


def free_port() -> int:
    """A TCP port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def connects(port: int) -> bool:
    """Whether somebody can be reached there. To find out as `listened` does would keep who begins to listen from it."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def listened(port: int) -> bool:
    """Whether somebody listens there. Nobody connects for that: asyncio forgets who comes while it stops to listen."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False


def test_names_and_units_are_prometheus_s() -> None:
    """https://prometheus.io/docs/practices/naming/: base units, `_total` for counters and for nothing else."""
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"vdsprovd_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert not re.search(r"milli|_ms|_kib|_mib|mbytes|percent", metric.name)
        assert metric.help.endswith(".")
        assert all(re.fullmatch(r"[a-z_]+", label) and label != "le" for label in metric.labels)


def populate(simulated: SimulatedArray) -> str:
    """Have a LUN in a target, which counted something; gives its id."""
    lun = simulated.make_lun(mask="iqn.2026-11.org.example:host1")
    target, _ = simulated.make_reachable_target()
    simulated.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    for fact in simulated.hardware.facts.values():
        if isinstance(fact, Disk | Unit):
            for number, what in enumerate((Count.READ, Count.WRITTEN, Count.COMMANDS), 1):
                simulated.hardware.counts[fact.key, what] = number * MIB
    return lun


def test_every_metric_is_served_with_its_labels(simulated: SimulatedArray, path: Path) -> None:
    """Each name and type of the table is there, samples have the labels that it says, and there is no other."""
    lun = populate(simulated)
    simulated.call("LunNaming.SetFriendlyName", id=lun, friendlyName='a "name" \\ of many')
    time.sleep(0.3)
    found = scrape(path)
    known = {metric.name: metric for metric in METRICS}
    assert {
        f"{family.name}_total" if family.type == "counter" else family.name for family in found.families.values()
    } == {
        *known,
        *(name for name in re.findall(r"# TYPE (process_\w+)", found.text)),
    }
    for family in found.families.values():
        for sample in family.samples:
            name = f"{family.name}_total" if family.type == "counter" else family.name
            if not name.startswith("process_"):
                assert family.type == known[name].kind.value
                assert set(sample.labels) - {"le"} == set(known[name].labels)
    assert found.value("vdsprovd_lun_read_bytes_total", lun=lun, name='a "name" \\ of many') == MIB
    assert found.value("vdsprovd_target_written_bytes_total", lun=lun, portal_group="1") == 2 * MIB


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("GET", "/", 404), ("POST", "/metrics", 405), ("GET", "/metrics?x=1", 200), ("GET", "/metrics/", 404)],
)
def test_there_is_nothing_else(path: Path, method: str, target: str, status: int) -> None:
    """But GET /metrics; others are told."""
    found, text = get(Unix(path), target, method)
    assert found == status
    assert text.startswith("vdsprovd: " if status != 200 else "# HELP")


@pytest.mark.parametrize(
    "request_", [b"\0\0\0\r\n\r\n", b"GET /metrics\r\n\r\n", b"GET /metrics HTTP/1.1\r\nHost: [\r\n\r\n"]
)
def test_what_is_no_request_is_refused(path: Path, request_: bytes) -> None:
    """With status 400, and the next one is served."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(request_)
        assert sock.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert scrape(path).there("vdsprovd_connections")


def test_a_request_without_end_is_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is too long, and when it takes too long."""
    monkeypatch.setattr(endpoint, "_REQUEST", 0.2)
    for sent in (b"x" * (1 << 20), b"GET "):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.settimeout(10)
            try:
                sock.sendall(sent)
                assert sock.recv(1) == b""
            except ConnectionError:
                pass
    assert scrape(path).there("vdsprovd_connections")


def test_those_who_ask_together_share_a_scrape(
    simulated: SimulatedArray, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One reading of the host serves all who ask while it runs, and for a while after it."""
    populate(simulated)
    readings, going_on = 0, threading.Event()
    count = simulated.hardware.count

    def slow(of: object, what: Count) -> int | None:
        nonlocal readings
        if what is Count.READ and isinstance(of, Disk):
            readings += 1
            going_on.wait(10)
        return count(of, what)  # type: ignore[arg-type]

    monkeypatch.setattr(simulated.hardware, "count", slow)
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(scrape, path) for _ in range(5)]
        assert soon(lambda: readings == 1)
        # A query is answered meanwhile.
        simulated.call("Provider.GetProperties")
        time.sleep(0.2)
        going_on.set()
        assert len({found.result().text for found in asked}) == 1
    assert readings == 1
    assert scrape(path).text == asked[0].result().text
    assert soon(lambda: scrape(path) and readings == 2)


def test_a_crowd_is_sent_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With status 503, while those who are connected stay."""
    monkeypatch.setattr(endpoint, "_MOST", 1)
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(str(path))
        first.sendall(b"GET ")
        assert get(Unix(path))[0] == 503
    assert soon(lambda: get(Unix(path))[0] == 200)


def test_a_bug_is_told_and_not_shown(
    simulated: SimulatedArray, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Status 500 without details, which are in the log; the next scrape is a new one."""
    populate(simulated)

    def broken(of: object, what: Count) -> int | None:
        raise ZeroDivisionError("the test says so")

    with monkeypatch.context() as patched:
        patched.setattr(simulated.hardware, "count", broken)
        status, text = get(Unix(path))
        assert (status, "the test says so" in text) == (500, False)
    assert "the test says so" in caplog.text
    assert scrape(path).there("vdsprovd_connections")


def test_a_port_is_for_this_host(simulated: SimulatedArray) -> None:
    """A reload moves the metrics from a socket to a port and to nowhere; who asks for another host, as a page in a browser
    can, is refused."""
    path, port = watched(simulated), free_port()
    assert soon(path.is_socket)
    assert path.stat().st_mode & 0o777 == 0o660
    simulated.configuration["metrics"] = {"listen": f"127.0.0.1:{port}"}
    simulated.reload()
    assert soon(lambda: not path.exists())
    assert soon(lambda: connects(port))
    assert get(http.client.HTTPConnection("127.0.0.1", port))[0] == 200
    assert get(http.client.HTTPConnection("localhost", port))[0] == 200
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/metrics", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 421
    connection.close()
    del simulated.configuration["metrics"]
    simulated.reload()
    assert soon(lambda: not listened(port))


def test_a_place_that_is_taken_keeps_nobody_from_storage(
    simulated: SimulatedArray, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why there are no metrics, and the next reload tries again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        simulated.configuration["metrics"] = {"listen": f"127.0.0.1:{port}"}
        simulated.reload()
        assert soon(lambda: f"no metrics are served at 127.0.0.1:{port}: Address already in use" in caplog.text)
        simulated.call("Provider.GetProperties")
    simulated.reload()
    assert soon(lambda: listened(port))
    assert get(http.client.HTTPConnection("127.0.0.1", port))[0] == 200


@pytest.mark.parametrize(
    "where", ["0.0.0.0:9860", "10.77.0.1:9860", "[::]:9860", "127.0.0.1", "metrics", "localhost:9860"]
)
def test_metrics_are_for_this_host_alone(where: str) -> None:
    """Only a path or a loopback address with a port can be configured."""
    table = {
        "metrics": {"listen": where},
        "subsystem": [{"name": "array0", "iqn-prefix": "iqn.2026-11.org.example"}],
    }
    with pytest.raises(ConfigError, match=r"metrics.listen: .* no place to listen"):
        check(table, "test")


def test_nobody_asks_and_nothing_is_read(
    simulated: SimulatedArray, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a scrape the host is not asked for a single number."""
    populate(simulated)
    asked: list[object] = []
    monkeypatch.setattr(simulated.hardware, "count", lambda of, what: asked.append(of))
    simulated.make_lun()
    time.sleep(0.5)
    assert not asked
    scrape(path)
    assert asked
