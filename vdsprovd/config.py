"""The configuration file: TOML, checked whole before anything starts."""

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

EX_CONFIG = 78
"""The exit status for a configuration that cannot be used (sysexits.h)."""

_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A table whose keys are kebab-case; an unknown key is an error."""


class ProviderConfig(_Table, frozen=True):
    """The table [provider]."""

    socket: str = "/run/vdsprovd/org.vdsprov"
    state: str = "/var/lib/vdsprovd"
    group: str = "vdsprov"
    audit: Annotated[int, msgspec.Meta(ge=1)] = 300
    backups: Annotated[int, msgspec.Meta(ge=0)] = 12
    self_heal: bool = False


class RolesConfig(_Table, frozen=True):
    """The table [roles]: which groups have which role. Root has every role."""

    viewer: tuple[str, ...] = ()
    operator: tuple[str, ...] = ()
    admin: tuple[str, ...] = ("vdsprov",)


class MetricsConfig(_Table, frozen=True):
    """The table [metrics]."""

    listen: str = ""
    """The path of a Unix socket, or a loopback address and a port; nowhere when it is empty."""
    group: str = "vdsprov"


class PoolConfig(_Table, frozen=True):
    """A table [[subsystem.pool]]."""

    name: _Name
    kind: Literal["files", "lvm"]
    path: str = ""
    sparse: bool = False
    vg: str = ""
    thin_pool: str = ""
    overwrite: bool = False

    @property
    def place(self) -> str:
        """Where the LUNs' bytes are, for people."""
        if self.kind == "files":
            return f"files in {self.path}"
        return f"LVM volumes in {self.vg}{f'/{self.thin_pool}' if self.thin_pool else ''}"


class SubSystemConfig(_Table, frozen=True):
    """A table [[subsystem]]."""

    name: _Name
    iqn_prefix: str
    pool: tuple[PoolConfig, ...] = ()
    portals: tuple[str, ...] | None = None
    drives: tuple[str, ...] = ()
    require_chap: bool = True
    import_target: bool = True


class Config(_Table, frozen=True):
    """The whole file."""

    provider: ProviderConfig = ProviderConfig()
    roles: RolesConfig = RolesConfig()
    metrics: MetricsConfig = MetricsConfig()
    subsystem: tuple[SubSystemConfig, ...] = ()


class ConfigError(Exception):
    """The configuration cannot be used; the message names the file and the line or key."""


def load(path: Path) -> Config:
    """Read and check the file. Raises `ConfigError`."""
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # bad TOML, bad UTF-8, numbers and nesting beyond all reason
        raise ConfigError(f"{path}: {error}") from error
    return check(table, str(path))


def check(table: object, source: str) -> Config:
    """Check a decoded file; `source` names it in errors. Raises `ConfigError`."""
    try:
        config = msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        key = where.strip("`").lstrip(".")
        raise ConfigError(f"{source}: {f'{key}: ' if key else ''}{text}") from error
    if not config.subsystem:
        raise ConfigError(f"{source}: subsystem: there is none; add a table [[subsystem]]")
    names = [entry.name for entry in config.subsystem]
    for number, entry in enumerate(config.subsystem):
        key = f"{source}: subsystem[{number}]"
        if names.count(entry.name) > 1:
            raise ConfigError(f"{key}.name: {entry.name!r} is used twice")
        if not IQN_PREFIX.fullmatch(entry.iqn_prefix):
            raise ConfigError(f"{key}.iqn-prefix: {entry.iqn_prefix!r} does not look like iqn.2026-11.org.example")
        for place, portal in enumerate(entry.portals or ()):
            try:
                parse_portal(portal)
            except ValueError as error:
                raise ConfigError(f"{key}.portals[{place}]: {error}") from error
        pools = [pool.name for pool in entry.pool]
        for place, pool in enumerate(entry.pool):
            if pools.count(pool.name) > 1:
                raise ConfigError(f"{key}.pool[{place}].name: {pool.name!r} is used twice")
            _check_keys(pool, f"{key}.pool[{place}]")
            if pool.kind == "lvm":
                continue
            if not pool.path.startswith("/"):
                raise ConfigError(f"{key}.pool[{place}].path: {pool.path!r} does not begin with /")
            # The kernel takes a comma for the end of a file's name, and cuts a name that is longer.
            if "," in pool.path or not pool.path.isprintable() or len(pool.path.encode()) > LONGEST_PATH:
                raise ConfigError(
                    f"{key}.pool[{place}].path: {pool.path!r} cannot be a pool: it has a comma, a character that cannot be "
                    f"printed, or more than {LONGEST_PATH} bytes"
                )
    for name, value in (("socket", config.provider.socket), ("state", config.provider.state)):
        if not value.isprintable():
            raise ConfigError(f"{source}: provider.{name}: {value!r} has a character that cannot be printed")
    if (where := config.metrics.listen) and not (where.startswith("/") and where.isprintable()):
        try:
            parse_loopback(where)
        except ValueError as error:
            raise ConfigError(f"{source}: metrics.listen: {error}") from error
    return config


def _check_keys(pool: PoolConfig, key: str) -> None:
    """A pool has the keys of its kind and no others, and a volume group is in one pool's configuration as a whole."""
    keys = {"files": ("path", "sparse"), "lvm": ("vg", "thin-pool", "overwrite")}
    for field in msgspec.structs.fields(PoolConfig)[2:]:
        given = getattr(pool, field.name) != field.default
        if given and field.encode_name not in keys[pool.kind]:
            raise ConfigError(f"{key}.{field.encode_name}: a pool of kind {pool.kind} has no such key")
    needed = keys[pool.kind][0]
    if not getattr(pool, needed):
        raise ConfigError(f"{key}: a pool of kind {pool.kind} needs the key {needed}")
    for name in (pool.vg, pool.thin_pool):
        if name and not LVM_NAME.fullmatch(name):
            raise ConfigError(f"{key}: {name!r} is no name of LVM's")


LVM_NAME = re.compile(r"[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,126}")

LONGEST_PATH = 210
"""Bytes; with the name of a LUN's file behind it that is what LIO can take."""

IQN_PREFIX = re.compile(
    r"iqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+"
)


def parse_portal(text: str) -> tuple[str, int]:
    """An address and a TCP port from "10.77.0.1:3260", "[fd00::1]:3260", or either without a port (then 3260).

    Raises ValueError with a message for people.
    """
    found = re.fullmatch(r"(?:\[([^]]+)\]|([^:]+))(?::(\d{1,5}))?", text)
    if found:
        address, port = found[1] or found[2], int(found[3] or 3260)
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            pass
        else:
            if 0 < port < 65536:
                return str(parsed), port
    raise ValueError(f"{text!r} is no portal; write 10.77.0.1:3260 or [fd00::1]:3260")


def parse_loopback(text: str) -> tuple[str, int]:
    """A loopback address and a TCP port, which must be given. Raises ValueError with a message for people."""
    wanted = "write the path of a Unix socket, or a loopback address and a port, such as 127.0.0.1:9860 or [::1]:9860"
    try:
        address, port = parse_portal(text)
    except ValueError:
        raise ValueError(f"{text!r} is no place to listen; {wanted}") from None
    if not ipaddress.ip_address(address).is_loopback or not text.endswith(f":{port}"):
        raise ValueError(f"{text!r} is no place to listen: nobody is asked there who they are; {wanted}")
    return address, port
