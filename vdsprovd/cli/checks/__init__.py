"""The checks of `vdsprovctl doctor`: each looks at one thing of this host and changes nothing."""

from pathlib import Path

from vdsprovd.cli.checks import daemon, devices, kernel, network, rivals
from vdsprovd.cli.checks.host import Finding, Host, read_configuration

__all__ = ["Finding", "Host", "all_of"]


def all_of(host: Host, config: Path, socket: str) -> list[Finding]:
    """What every check finds, in the order in which things depend on each other."""
    table = read_configuration(host.path(config))
    return [
        *kernel.modules(host),
        *kernel.configfs(host),
        *kernel.clock(),
        *daemon.configuration(host, config),
        *daemon.store(host, table),
        *daemon.unit(host),
        *daemon.socket(socket, table),
        *network.portals(host),
        *network.firewall(host),
        *devices.pools(host, table),
        *rivals.services(host),
        *rivals.saved(host),
    ]
