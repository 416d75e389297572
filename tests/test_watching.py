"""What docs/watching.md, the dashboard and the alerts say of metrics and of the journal is so."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vdsprovd.metrics.definitions import METRICS, Kind

CHECKOUT = Path(__file__).resolve().parents[1]
DASHBOARD: dict[str, Any] = json.loads((CHECKOUT / "docs/watching/dashboard.json").read_text())
ALERTS = CHECKOUT / "docs/watching/alerts.yml"

# What Prometheus adds, and its client library's own.
ADDED = {"instance", "job"}
OTHERS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}


def expressions() -> Iterator[str]:
    """Every expression of the dashboard, with its variables as Grafana would fill them in, and of the alerts."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
    yield from re.findall(r"^ +expr: (.+)$", ALERTS.read_text(), re.MULTILINE)


def series() -> dict[str, set[str]]:
    """The names that the daemon exports, and the labels of each."""
    found = {name: set[str]() for name in OTHERS}
    for metric in METRICS:
        if metric.kind is Kind.HISTOGRAM:
            for suffix in ("_bucket", "_count", "_sum"):
                found[metric.name + suffix] = {*metric.labels, *(["le"] if suffix == "_bucket" else [])}
        else:
            found[metric.name] = set(metric.labels)
    return found


def test_the_tables_are_up_to_date() -> None:
    """They and the catalog are what scripts/watching-reference makes of the code; run that when this fails."""
    script = CHECKOUT / "scripts/watching-reference"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_expressions_use_what_there_is(expression: str) -> None:
    """Names that are exported, and labels that one of the names has."""
    exported = series()
    bare = re.sub(r'"[^"]*"', '""', expression)
    names = set(re.findall(r"\b(?:vdsprovd|process|up)(?:_\w+)?\b", bare))
    assert names
    assert names <= set(exported)
    labels = ADDED.union(*(exported[name] for name in names))
    used = [
        name for braces in re.findall(r"\{([^}]*)\}", bare) for name in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", braces)
    ]
    for listed in re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", bare):
        used += [label.strip() for label in listed.split(",")]
    assert set(used) <= labels
    # A counter that is shown as it is says nothing.
    for name in names:
        if name.endswith(("_total", "_bucket", "_count", "_sum")):
            assert re.search(rf"(rate|increase)\({name}\b", bare)


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    """But for those that only name something."""
    shown = " ".join(expressions())
    unused = {metric.name for metric in METRICS if metric.name.removesuffix("_total") not in shown}
    assert unused == {
        "vdsprovd_backup_last_success_timestamp_seconds",
        "vdsprovd_build_info",
        "vdsprovd_cache_changes_total",
        "vdsprovd_portals",
        "vdsprovd_subsystem_state",
        "vdsprovd_targets",
    }


def test_the_dashboard_is_whole() -> None:
    """Panels have ids of their own and do not overlap; legends name labels that their expressions leave."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert taken.isdisjoint(cells)
        taken |= cells
        for target in panel.get("targets", ()):
            kept = re.findall(r"\bby \(([^)]*)\)", target["expr"])
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert not kept or label in re.split(r",\s*", kept[-1]), target
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) == variables | {"__rate_interval"}
