"""The manuals in docs/man; that formatters have nothing to say about them, tests/systemd/test_package.py shows."""

import re
import subprocess
import sys
from pathlib import Path

from vdsprovd.hresult import Hresult

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = CHECKOUT / "docs/man"


def test_they_are_up_to_date() -> None:
    """What scripts/man-pages writes from the code and from docs/configuration.md is what is there."""
    done = subprocess.run([sys.executable, CHECKOUT / "scripts/man-pages", "--check"], check=False)
    assert done.returncode == 0, "run scripts/man-pages"


def test_the_daemons_has_every_option_of_its_help() -> None:
    """With the help's own words."""
    shown = subprocess.run(
        [sys.executable, "-m", "vdsprovd", "--help"], capture_output=True, text=True, check=True
    ).stdout
    options = set(re.findall(r"--[a-z]+", shown))
    page = (PAGES / "vdsprovd.8.md").read_text()
    assert {"--teardown", "--rescue"} <= options
    assert [option for option in options if f"**{option}**" not in page] == []


def test_the_apis_has_every_error_and_interface() -> None:
    """By the names that are on the wire."""
    page = (PAGES / "org.vdsprov.7.md").read_text()
    assert [code for code in Hresult if code.failed and f"**org.vdsprov.{code.error_name}**" not in page] == []
    described = (path.stem for path in (CHECKOUT / "vdsprovd/interfaces").glob("org.vdsprov.*.varlink"))
    assert [name for name in described if f"### {name}\n" not in page] == []


def test_the_configurations_has_no_link_that_a_terminal_cannot_follow() -> None:
    """The keys are a list there, and links what they say."""
    page = (PAGES / "vdsprovd.toml.5.md").read_text()
    assert "**audit** (seconds, default `300`)\n: " in page
    assert "](" not in page
    assert "| key |" not in page
