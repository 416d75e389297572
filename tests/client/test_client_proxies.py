"""The typed proxies, which are generated."""

import subprocess
import sys
from pathlib import Path
from typing import cast

from vdsprovd.client.attempt import is_query
from vdsprovd.provider.api import Role, Rules
from vdsprovd.provider.context import Context
from vdsprovd.provider.interfaces import describe


def test_they_are_up_to_date() -> None:
    """The proxies are what scripts/client-proxies makes of the daemon's methods; run that when this fails."""
    script = Path(__file__).parents[2] / "scripts" / "client-proxies"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0


def test_queries_are_known_by_their_names() -> None:
    """What the client takes for a query, and sends again, is what viewers may call: it changes nothing."""
    for interface in describe(cast(Context, None)):
        for method in interface.methods:
            rules = method.metadata
            assert isinstance(rules, Rules)
            assert is_query(f"{interface.name}.{method.name}") is (rules.role is Role.VIEWER), method.name
