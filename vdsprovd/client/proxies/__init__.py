"""Typed proxies, blocking: one class for each kind of object.

Generated from the daemon's methods by scripts/client-proxies; do not edit.
"""

from typing import TYPE_CHECKING

from vdsprovd.client.proxies.proxy import Caller

if TYPE_CHECKING:
    from vdsprovd.client.proxies.controller import Controller
    from vdsprovd.client.proxies.drive import Drive
    from vdsprovd.client.proxies.lun import Lun
    from vdsprovd.client.proxies.lun_plex import LunPlex
    from vdsprovd.client.proxies.port import Port
    from vdsprovd.client.proxies.portal import Portal
    from vdsprovd.client.proxies.portal_group import PortalGroup
    from vdsprovd.client.proxies.provider import Provider
    from vdsprovd.client.proxies.service import Service
    from vdsprovd.client.proxies.storage_pool import StoragePool
    from vdsprovd.client.proxies.sub_system import SubSystem
    from vdsprovd.client.proxies.target import Target


class Objects(Caller):
    """The ways to objects: `client.lun(id)` is the LUN of that id, whether there is one or not."""

    # Imported when they are asked for: VDS's types take longer to load than most commands of vdsprovctl to run.

    @property
    def service(self) -> "Service":
        """The way in: objects by id, and notifications."""
        from vdsprovd.client.proxies.service import Service

        return Service(self)

    @property
    def provider(self) -> "Provider":
        """The daemon itself."""
        from vdsprovd.client.proxies.provider import Provider

        return Provider(self)

    def storage_pool(self, id: str) -> "StoragePool":
        """A place where LUNs' bytes live."""
        from vdsprovd.client.proxies.storage_pool import StoragePool

        return StoragePool(self, id)

    def sub_system(self, id: str) -> "SubSystem":
        """A storage host's LIO configuration, or one part of it, with its pools, LUNs, targets and portals."""
        from vdsprovd.client.proxies.sub_system import SubSystem

        return SubSystem(self, id)

    def controller(self, id: str) -> "Controller":
        """A controller: the host as a node that serves LUNs."""
        from vdsprovd.client.proxies.controller import Controller

        return Controller(self, id)

    def port(self, id: str) -> "Port":
        """A controller's port."""
        from vdsprovd.client.proxies.port import Port

        return Port(self, id)

    def drive(self, id: str) -> "Drive":
        """A drive: a disk of the host that is a pool's member, a hot spare, or free."""
        from vdsprovd.client.proxies.drive import Drive

        return Drive(self, id)

    def lun(self, id: str) -> "Lun":
        """A LUN: a disk that initiators see, with its bytes in a pool."""
        from vdsprovd.client.proxies.lun import Lun

        return Lun(self, id)

    def lun_plex(self, id: str) -> "LunPlex":
        """A plex: one copy of a LUN's bytes, on drives of its own. Only mirrors have several."""
        from vdsprovd.client.proxies.lun_plex import LunPlex

        return LunPlex(self, id)

    def target(self, id: str) -> "Target":
        """An iSCSI target."""
        from vdsprovd.client.proxies.target import Target

        return Target(self, id)

    def portal_group(self, id: str) -> "PortalGroup":
        """A portal group: the portals through which a target can be logged in to."""
        from vdsprovd.client.proxies.portal_group import PortalGroup

        return PortalGroup(self, id)

    def portal(self, id: str) -> "Portal":
        """A portal: an address of the host and a TCP port."""
        from vdsprovd.client.proxies.portal import Portal

        return Portal(self, id)
