"""What README and documentation say is so."""

import re
import shlex
import subprocess
import time
import tomllib
from pathlib import Path

import msgspec
import pytest

from vdsprovd import config
from vdsprovd.provider import reconfigure
from vdsprovd.provider.interfaces import INTERFACES

CHECKOUT = Path(__file__).resolve().parents[1]
README = (CHECKOUT / "README.md").read_text()
CONFIGURATION = (CHECKOUT / "docs/configuration.md").read_text()
EXAMPLE = CHECKOUT / "vdsprovd/vdsprovd.toml"

TABLES = {
    "[provider]": config.ProviderConfig,
    "[roles]": config.RolesConfig,
    "[metrics]": config.MetricsConfig,
    "[[subsystem]]": config.SubSystemConfig,
    "[[subsystem.pool]]": config.PoolConfig,
}


def test_the_readme_has_a_row_for_every_interface() -> None:
    """VDS's name (or that it is ours), ours, and the file where the interface is, in the order in which they are served."""
    rows = re.findall(r"^\| (\w+) \| (\w+) \| \[(\S+)\]\((\S+)\) \|$", README, re.MULTILINE)
    expected = []
    for interface in INTERFACES:
        file = interface.__module__.replace(".", "/") + ".py"
        expected.append((interface.com or "ours", interface.__name__, file, file))
    assert rows == expected


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "docs/choices.md",
        "docs/client.md",
        "docs/configuration.md",
        "docs/diskraid.md",
        "docs/interfaces.md",
        "docs/notifications.md",
        "docs/remote.md",
        "docs/shell.md",
        *(f"docs/tutorials/{name}.md" for name in ("administrator", "automation", "backup", "targetcli")),
        "docs/watching.md",
        "vagrant/README.md",
    ],
)
def test_links_lead_somewhere(document: str) -> None:
    """Every file that a document links to exists."""
    path = CHECKOUT / document
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link


def test_the_readme_names_files_that_exist() -> None:
    """Paths in backquotes are from the checkout or from the package."""
    for name in re.findall(r"`([a-z_/]+\.(?:py|toml)|[a-z_]+/(?:[a-z_]+/)*)`", README):
        assert (CHECKOUT / name).exists() or (CHECKOUT / "vdsprovd" / name).exists(), name


@pytest.mark.parametrize(("title", "table"), TABLES.items())
def test_every_key_is_documented(title: str, table: type[msgspec.Struct]) -> None:
    """Each key of a table has a row with its default in docs/configuration.md, and a line in the example."""
    section = CONFIGURATION.partition(f"## `{title}`\n")[2].partition("\n## ")[0]
    rows = {row[0]: row[1] for row in re.findall(r"^\| `([a-z-]+)` \|(.*)\|$", section, re.MULTILINE)}
    example = EXAMPLE.read_text().partition(f"\n{title}\n")[2].partition("\n[")[0]
    for field in msgspec.structs.fields(table):
        name = field.encode_name
        if name == "pool":  # a table of its own
            continue
        assert name in rows, f"{name} has no row"
        assert re.search(rf"^#?{name} = ", example, re.MULTILINE), f"{name} has no line in the example"
        if field.required:
            assert "required" in rows[name]
        elif isinstance(field.default, str) and field.default:
            assert f"`{field.default}`" in rows[name]
        elif isinstance(field.default, bool):
            assert f"`{str(field.default).lower()}`" in rows[name]
    assert set(rows) <= {field.encode_name for field in msgspec.structs.fields(table)}


def test_the_example_can_be_used() -> None:
    """As it is shipped it is a valid configuration; what it comments out is the default, or valid too."""
    shipped = config.load(EXAMPLE)
    every_line = re.sub(r"^#(?=[a-z-]+ = |\[\[)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    complete = config.check(tomllib.loads(every_line), "the example")
    assert complete.provider == shipped.provider == config.ProviderConfig()
    assert complete.roles == shipped.roles == config.RolesConfig()
    assert complete.metrics == config.MetricsConfig("/run/vdsprovd/metrics")
    assert shipped.metrics == config.MetricsConfig()
    sub_system = complete.subsystem[0]
    assert [pool.kind for pool in sub_system.pool] == ["files", "lvm"]
    kept = msgspec.structs.replace(sub_system, portals=None, drives=(), pool=sub_system.pool[:1])
    assert kept == shipped.subsystem[0]


def test_what_a_reload_takes_in_is_documented() -> None:
    """docs/configuration.md has a table of it: each key is on the side where it belongs."""
    reload = CONFIGURATION.partition("### Reload")[2].partition("###")[0]
    rows = [line.split("|")[1:3] for line in reload.splitlines() if line.startswith("| ")][1:]
    said = [set(re.findall(r"`([a-z-]+)`", " ".join(column))) for column in zip(*rows, strict=True)]
    keys = {
        (field.encode_name, field.name in reconfigure.RELOADED[table])
        for table in (config.ProviderConfig, config.MetricsConfig, config.SubSystemConfig)
        for field in msgspec.structs.fields(table)
    }
    taken, fixed = ({key for key, reloaded in keys if reloaded is side} for side in (True, False))
    assert said[0] == taken
    assert said[1] == fixed


def test_the_readme_s_look_at_the_api(tmp_path: Path) -> None:
    """The two commands without a kernel, and what the second one says; the socket is the test's own."""
    (block,) = re.findall(r"^```sh\n(\.venv/bin/vdsprovd --simulate .*?)^```", README, re.MULTILINE | re.DOTALL)
    place = tmp_path / "vdsprov"
    assert block.count("/tmp/vdsprov") == 2
    serve, ask = block.replace("/tmp/vdsprov", str(place)).splitlines()
    daemon = subprocess.Popen(shlex.split(serve.removesuffix(" &")), cwd=CHECKOUT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not place.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # A reader takes longer for the second line than the daemon to be ready.
        while (
            done := subprocess.run(shlex.split(ask), cwd=CHECKOUT, capture_output=True, text=True, check=False)
        ).returncode:
            assert time.monotonic() < deadline, done.stderr
        assert done.stdout.startswith("Created LUN ")
    finally:
        daemon.terminate()
        daemon.wait(30)
