"""What is watched, with a real Prometheus: its own checks, and a server that scrapes the daemon."""

import http.client
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.arrays import LioArray, SimulatedArray
from tests.contract.test_reload import soon
from tests.scrape import get, scrape, watched
from tests.test_metrics_endpoint import connects, free_port, populate
from tests.test_watching import ALERTS, CHECKOUT, expressions

pytestmark = pytest.mark.lab


def promtool(*arguments: str | Path, given: str = "") -> str:
    """What promtool says, which must find nothing wrong."""
    done = subprocess.run(["promtool", *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_every_expression_can_be_read(tmp_path: Path) -> None:
    """The dashboard's and the alerts', as rules."""
    rules = [{"record": f"x:{number}", "expr": expression} for number, expression in enumerate(expressions())]
    # JSON is YAML.
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "rules.yml")


def test_alerts_fire_when_they_shall() -> None:
    """As tests/alerts_test.yml says."""
    promtool("check", "rules", ALERTS)
    promtool("test", "rules", CHECKOUT / "tests/alerts_test.yml")


def test_metrics_are_written_as_prometheus_wants_them(simulated: SimulatedArray) -> None:
    """With a sample of everything that the simulator can have."""
    path = watched(simulated)
    assert soon(path.is_socket)
    simulated.add_drives()
    populate(simulated)
    assert promtool("check", "metrics", given=scrape(path).text) == ""


class Server:
    """A Prometheus that runs."""

    def __init__(self, port: int) -> None:
        self._port = port

    @property
    def ready(self) -> bool:
        """Whether it has read what it has kept, and answers."""
        return get(http.client.HTTPConnection("127.0.0.1", self._port), "/-/ready")[0] == 200

    def ask(self, what: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        status, text = get(
            http.client.HTTPConnection("127.0.0.1", self._port), f"/api/v1/{what}?{urlencode(parameters)}"
        )
        assert status == 200, text
        return json.loads(text)["data"]

    def rules(self) -> list[Any]:
        """The alerts that it knows, each with its health."""
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]

    def value(self, expression: str) -> float | None:
        """What the expression is now, None while it is nothing."""
        found = self.ask("query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else None


@contextmanager
def prometheus(folder: Path, scraped: int) -> Iterator[Server]:
    """One that scrapes the port every second, with our alerts."""
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [{"job_name": "vdsprovd", "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}]}],
        "rule_files": [str(ALERTS)],
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings))
    port = free_port()
    options = {
        "config.file": folder / "prometheus.yml",
        "storage.tsdb.path": folder / "tsdb",
        "web.listen-address": f"127.0.0.1:{port}",
        "log.level": "warn",
    }
    command = ["prometheus", *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            server = Server(port)
            assert soon(lambda: connects(port) and server.ready, 60), (folder / "log").read_text()
            yield server
        finally:
            process.terminate()


def test_a_server_that_scrapes(lio: LioArray, tmp_path: Path) -> None:
    """It has what the daemon says, can work out all that the dashboard shows, and has every alert ready."""
    port = free_port()
    lio.configuration["metrics"] = {"listen": f"127.0.0.1:{port}"}
    lio.reload()
    lun, (target, _) = lio.make_lun(), lio.make_reachable_target()
    lio.call("LunIscsi.AssociateTargets", id=lun, targetIds=[target])
    with prometheus(tmp_path, port) as server:
        assert soon(lambda: server.value('up{job="vdsprovd"}') == 1, 60)
        assert soon(lambda: server.value("count(vdsprovd_lun_size_bytes)") == 1, 60)
        for expression in expressions():
            server.ask("query", query=expression)
        assert soon(lambda: all(rule["health"] != "unknown" for rule in server.rules()), 120)
        assert {rule["name"] for rule in server.rules()} == set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
        assert {rule["health"] for rule in server.rules()} == {"ok"}
        lio.stop()
        assert soon(lambda: server.value('up{job="vdsprovd"}') == 0, 60)
        lio.start()
