"""What makes targetcli's configuration at boot: a service that restores its file, after clearing what the kernel has."""

import json
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path

_UNITS = ("target.service", "rtslib-fb-targetctl.service")
"""As distributions call rtslib's service."""
_WANTED = ("/etc/systemd/system", "/usr/lib/systemd/system")
_SAVED = ("/etc/target/saveconfig.json", "/etc/rtslib-fb-target/saveconfig.json")


def rivals(targets: Container[str]) -> Iterator[str]:
    """Each service that is enabled and each file that has one of these targets, with what to do."""
    files = [path for path in _SAVED if any(name in targets for name in _saved(Path(path)))]
    if not files:
        return
    enabled = [unit for unit in _UNITS if any(list(Path(base).glob(f"*.wants/{unit}")) for base in _WANTED)]
    where = " and ".join(files)
    for unit in enabled:
        yield (
            f"{unit} is enabled, and restores {where}, which has these targets: run `systemctl disable {unit}` (without "
            "--now: to stop it clears the whole target, sessions and all)"
        )
    if not enabled:
        yield f"{where} still has these targets: `targetctl restore` would clear the whole target and make them anew"


def _saved(file: Path) -> Iterator[str]:
    with suppress(OSError, ValueError, AttributeError, TypeError):
        for target in json.loads(file.read_bytes()).get("targets", ()):
            yield str(target.get("wwn", ""))
