"""The daemon: reads the configuration, puts the parts together and runs until it is told to stop."""

import argparse
import asyncio
import ctypes
import faulthandler
import gc
import grp
import logging
import os
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from vdsprovd import __version__, addresses, config, journal, notify, watchdog
from vdsprovd.backups import StoreDamaged, StoreError
from vdsprovd.cache import Cache
from vdsprovd.config import EX_CONFIG, Config, ConfigError, PoolConfig, RolesConfig
from vdsprovd.counted import Counted
from vdsprovd.hardware import Hardware, HardwareError, Mismatch, Pool, Unsupported
from vdsprovd.hardware.pools.files import FilesPool
from vdsprovd.hardware.pools.lvm import LvmPool
from vdsprovd.hresult import VdsError
from vdsprovd.inventory import Lun
from vdsprovd.look_again import looking
from vdsprovd.metrics.endpoint import Endpoint
from vdsprovd.operations import Work
from vdsprovd.provider import drift, interfaces, reconfigure, recovery, safekeeping, scans, volumes
from vdsprovd.provider.context import Context
from vdsprovd.server import Gate, group_roles, make_service
from vdsprovd.store import PendingStep, Store, held
from vdsprovd.varlink import activation
from vdsprovd.workers import give_way

log = logging.getLogger("vdsprovd")

DEFAULT_CONFIG = Path("/etc/vdsprovd/vdsprovd.toml")
_TURN = 0.0002
"""Seconds after which a thread that computes lets the event loop have the interpreter: a query takes several such turns
while a recovery compares thousands of objects."""
_MADE_BY_A_START = 100_000
"""How many more objects there are before garbage is looked for, while a start makes many that stay."""
_CLOSING = 5.0
"""Seconds that the store's disk has for the store to be closed."""
SIMULATED_SPACE = 100 << 30
SIMULATED_DRIVES = 4
EX_DATAERR = 65
EX_UNAVAILABLE = 69

SIMULATED_CONFIG = {
    "subsystem": [
        {
            "name": "array0",
            "iqn-prefix": "iqn.2026-11.org.example",
            "portals": ["127.0.0.1:3260"],
            "pool": [
                {"name": "files0", "kind": "files", "path": "/simulated"},
                {"name": "vg0", "kind": "lvm", "vg": "simulated"},
            ],
        }
    ]
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon; gives the exit status: 0 after an orderly stop, 78 for a configuration that cannot be used, 65
    for a damaged store, 69 when the store or the kernel's target cannot be used."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.teardown and options.simulate:
        parser.error("--teardown is about the kernel, and --simulate is not")
    native = journal.is_our_stderr()
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(message)s" if native else "%(asctime)s %(levelname)s %(message)s",
        handlers=[journal.Handler() if native else logging.StreamHandler()],
    )
    inherited: dict[str, socket.socket] = {}
    try:
        inherited = _inherited()
        configuration = _configuration(options)
        folder = Path(configuration.provider.state)
        if options.teardown or options.backup or options.rescue is not None:
            return _administer(configuration, options, folder)
        return asyncio.run(_run(configuration, options, inherited))
    except (ConfigError, recovery.StartError) as error:
        failure, status = str(error), EX_CONFIG
    except StoreDamaged as error:
        failure, status = str(error), EX_DATAERR
    except (StoreError, HardwareError, OSError, sqlite3.Error) as error:
        failure, status = str(error), EX_UNAVAILABLE
    except ModuleNotFoundError as error:
        failure = f"there is no Python module {error.name}; to serve a kernel: pip install 'vdsprovd[daemon]'"
        status = EX_UNAVAILABLE
    print(f"vdsprovd: {failure}", file=sys.stderr)
    listener = inherited.get("varlink")
    if listener is not None and listener.fileno() >= 0:
        asyncio.run(_answer_those_who_wait(listener, failure))
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vdsprovd",
        description="Serve the kernel's iSCSI target with the objects, rules and codes of a VDS provider.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"the configuration (default: {DEFAULT_CONFIG})")
    parser.add_argument("--simulate", action="store_true", help="serve the same API from memory, with no privileges")
    parser.add_argument("--socket", metavar="PATH", help="listen here instead of where the configuration says")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--check", action="store_true", help="only check the configuration")
    instead.add_argument(
        "--teardown",
        action="store_true",
        help="take all exports out of the kernel, which ends their sessions, while no daemon runs; the next start makes them again",
    )
    instead.add_argument(
        "--backup", type=Path, metavar="FILE", help="copy the store to a new file and check it, beside a running daemon"
    )
    instead.add_argument(
        "--rescue",
        nargs="?",
        const="",
        metavar="BACKUP",
        help="say how a damaged store can be rebuilt from a backup (default: the newest good one), the kernel's target and "
        "the pools, and ask whether to do it",
    )
    parser.add_argument("--yes", action="store_true", help="with --rescue: rebuild it without a question")
    parser.add_argument("--json", action="store_true", help="with --rescue: say it as JSON")
    parser.add_argument("--verbose", action="store_true", help="log more")
    parser.add_argument("--version", action="version", version=f"vdsprovd {__version__}")
    return parser


def _configuration(options: argparse.Namespace) -> Config:
    if _is_made_up(options):
        return config.check(SIMULATED_CONFIG, _source(options))
    return config.load(options.config or DEFAULT_CONFIG)


def _source(options: argparse.Namespace) -> str:
    return "--simulate" if _is_made_up(options) else str(options.config or DEFAULT_CONFIG)


def _is_made_up(options: argparse.Namespace) -> bool:
    """Whether the configuration is no file's, for nobody needs one to try the daemon."""
    return bool(options.simulate) and options.config is None


class Reload(NamedTuple):
    """How a changed configuration comes in while the daemon serves."""

    asked: asyncio.Event
    load: Callable[[], Config]
    """Reads and checks it, by itself. Raises `ConfigError`."""
    source: str
    """Names it in errors."""


async def _run(configuration: Config, options: argparse.Namespace, inherited: dict[str, socket.socket]) -> int:
    source = _source(options)
    if options.check:
        if not options.simulate:
            _check_pools(configuration, source)
        return 0
    # systemd ends a daemon that gives no sign of life with SIGABRT; then standard error has where its threads were.
    faulthandler.enable(2)
    usual = gc.get_threshold()
    gc.set_threshold(_MADE_BY_A_START)
    stop, reload = asyncio.Event(), Reload(asyncio.Event(), lambda: _configuration(options), source)
    loop = asyncio.get_running_loop()
    # For asyncio.to_thread: one of our own, because asyncio would wait for the end of its threads.
    executor = ThreadPoolExecutor(thread_name_prefix="vdsprovd-watch", initializer=give_way)
    loop.set_default_executor(executor)
    loop.add_signal_handler(signal.SIGHUP, reload.asked.set)
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    store = Store(None if options.simulate else Path(configuration.provider.state))
    try:
        if not options.simulate:
            _check_pools(configuration, source, store.pools_in_use())
        hardware = _hardware(configuration, simulate=options.simulate)
        listener = given = inherited.get("varlink")
        if listener is None or options.socket:
            listener = _listener(configuration, options.socket, simulate=options.simulate)
        metrics = inherited.get("metrics")
        await serve(
            configuration,
            store,
            hardware,
            listener,
            stop,
            patient=listener is given,
            reload=reload,
            metrics=metrics,
            on_ready=lambda _: settle(usual),
        )
    finally:
        _close(store)
        executor.shutdown(wait=False)
    _leave_what_hangs()
    return 0


def _close(store: Store) -> None:
    """Close the store; it is closed by the kernel when its disk does not answer."""
    closing = threading.Thread(target=store.close, daemon=True)
    closing.start()
    closing.join(_CLOSING)
    if closing.is_alive():
        log.warning("the store's disk does not answer; what was not written yet is lost")


def _administer(configuration: Config, options: argparse.Namespace, folder: Path) -> int:
    # With what it shows people, this takes 2 MiB, which a daemon would keep.
    from vdsprovd import administration  # noqa: PLC0415

    if options.teardown:
        return EX_UNAVAILABLE if administration.tear_down(folder) else 0
    if options.backup:
        administration.back_up(folder, options.backup)
        return 0
    with held(folder):
        _check_pools(configuration, str(options.config or DEFAULT_CONFIG))
        administration.rebuild(
            configuration,
            _hardware(configuration, simulate=False, settle=False),
            folder,
            Path(options.rescue) if options.rescue else None,
            yes=options.yes,
            as_json=options.json,
        )
    return 0


async def serve(
    configuration: Config,
    store: Store,
    hardware: Hardware,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    patient: bool = False,
    reload: Reload | None = None,
    metrics: socket.socket | None = None,
    on_ready: Callable[[Context], None] | None = None,
) -> None:
    """Serve the API on the socket until `stop` is set. Raises `StartError`, `HardwareError`.

    Calls are answered from the first moment on, until the host is rebuilt with VDS_E_INITIALIZE_NOT_CALLED; or, if
    `patient`, wait until then: a call that made systemd start the daemon wants its answer. When `patient`, the socket
    of a start that fails is still open. `metrics` is where these are served, instead of where the configuration says.
    """
    sys.setswitchinterval(_TURN)
    context, pending = _assembled(configuration, store, hardware)
    gate = Gate(os.geteuid(), group_roles(configuration.roles))
    gate.waits_for = lambda: context.silence
    service = make_service(interfaces.describe(context), gate, context.counted)
    endpoint = Endpoint(context, service)
    watches = ExitStack()
    try:
        if not patient:
            await service.serve(listener)
        # Watched from before the first look, so that nothing comes unseen.
        async with (
            looking(lambda: scans.readdress(context), "read the host's addresses") as readdress,
            volumes.watch(context),
        ):
            watches.enter_context(addresses.watch(readdress))
            if not await _started(context, pending, stop):
                log.info("stopping before the start was over: %s", context.silence)
                return
            async with (
                drift.watch(context),
                recovery.healing(context),
                safekeeping.watch(context),
                watchdog.feeding(service),
            ):
                gate.ready = True
                context.give_way()
                if patient:
                    await service.serve(listener)
                await endpoint.serve(configuration.metrics, metrics)
                status = f"serving {listener.getsockname()}"
                notify.ready(status)
                text, count = "ready: %d LUNs, serving %s", context.cache.inventory.count(Lun)
                log.info(text, count, listener.getsockname(), extra=journal.about(journal.READY))
                if on_ready:
                    on_ready(context)
                await _until(stop, reload, lambda found: _reload(context, gate, endpoint, found, status))
        log.info("stopping; exports go on without us", extra=journal.about(journal.STOPPING))
        notify.stopping()
    finally:
        watches.close()
        await endpoint.close()
        await service.close()
        await context.close()


def settle(threshold: tuple[int, int, int]) -> None:
    """What is there after a start stays: it is not looked through for garbage, which would keep everybody waiting for 50 ms
    with 10,000 LUNs. What only the start needed goes back to the kernel; the C library would keep it."""
    gc.freeze()
    gc.set_threshold(*threshold)
    with suppress(AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def _assembled(configuration: Config, store: Store, hardware: Hardware) -> tuple[Context, tuple[PendingStep, ...]]:
    """What the store says, and the steps that a crash cut off. Nothing else that was loaded is kept."""
    stored = store.load()
    inventory, put, drop = recovery.assemble(configuration, stored, hardware.pools)
    store.finish(None, put=put, drop=drop)
    cache = Cache(inventory, [*stored.deleted, *(entry.id for entry in drop)])
    computer = socket.gethostname().lower()
    return Context(configuration, store, hardware, cache, stored.provider_id, computer), stored.pending


async def _started(context: Context, pending: Collection[PendingStep], stop: asyncio.Event) -> bool:
    """Rebuild what the store says; False when the daemon is to stop before that is done. A disk that hangs takes its time."""
    starting, stopping = asyncio.create_task(recovery.start(context, pending)), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return False
        await starting
        return True
    finally:
        starting.cancel()
        stopping.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)


def _leave_what_hangs() -> None:
    """End the process, if threads do not end for which Python would wait, and so for a disk that hangs."""
    others = (thread for thread in threading.enumerate() if thread is not threading.current_thread())
    threads = [thread for thread in others if not thread.daemon]
    deadline = time.monotonic() + 3
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if left := sum(thread.is_alive() for thread in threads):
        log.warning("%d threads are still at work; leaving them", left)
        os._exit(0)


async def _until(stop: asyncio.Event, reload: Reload | None, act: Callable[[Reload], Awaitable[None]]) -> None:
    """Wait for the order to stop, and reload meanwhile whenever that is asked for."""

    async def follow(reload: Reload) -> None:
        while True:
            await reload.asked.wait()
            reload.asked.clear()
            await act(reload)

    tasks = [asyncio.create_task(work) for work in (stop.wait(), *([follow(reload)] if reload else []))]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*done)  # a reload only ends by a bug


async def _reload(context: Context, gate: Gate, endpoint: Endpoint, reload: Reload, status: str) -> None:
    """Take in what may change while the daemon serves; a configuration that cannot be used changes nothing."""
    notify.reloading()
    refused = journal.about(journal.CONFIGURATION_REFUSED)
    try:
        wanted = reload.load()
        reconfigure.check(context.config, wanted, reload.source)
    except ConfigError as error:
        log.error("the configuration stays as it was: %s", error, extra=refused)
        notify.ready(f"{status}; the configuration stays as it was: {error}")
        return
    gate.groups = group_roles(wanted.roles)
    await endpoint.serve(wanted.metrics)
    try:
        # A stop meanwhile lets it end, within bounds.
        await asyncio.shield(
            context.operations.spawn(reconfigure.apply(context, wanted), Work("take in the configuration"))
        )
    except VdsError as error:
        text = f"the configuration is in force, and the host is not all that it says: {error.message}"
        log.error("%s", text, extra=refused)
        status = f"{status}; {text}"
    else:
        log.info("reloaded %s", reload.source, extra=journal.about(journal.RELOADED))
    notify.ready(status)


def _check_pools(configuration: Config, source: str, in_use: Collection[tuple[str, str]] = ()) -> None:
    """Raises `ConfigError` for a pool that is not there. One that has LUNs may be on its way: they are offline until it
    comes, and the others are served."""
    for number, sub_system in enumerate(configuration.subsystem):
        for place, pool in enumerate(sub_system.pool):
            try:
                _check_pool(pool, f"{source}: subsystem[{number}].pool[{place}]")
            except ConfigError as error:
                if (sub_system.name, pool.name) not in in_use:
                    raise
                log.error("%s; its LUNs are offline until it is there", error)


def _check_pool(pool: PoolConfig, key: str) -> None:
    if pool.kind == "files" and not Path(pool.path).is_dir():
        raise ConfigError(f"{key}.path: there is no folder {pool.path}")
    if pool.kind == "lvm":
        try:
            LvmPool(pool.vg, pool.thin_pool or None).space()
        except (Mismatch, Unsupported) as error:
            raise ConfigError(f"{key}.thin-pool: {error}") from error
        except HardwareError as error:
            raise ConfigError(f"{key}.vg, {pool.vg!r}: {error}") from error


def _simulated(configuration: Config) -> Hardware:
    # Only for this, and a daemon would keep it for ever.
    from vdsprovd.hardware import simulator  # noqa: PLC0415

    def made(pool: PoolConfig) -> Pool:
        if pool.kind == "lvm":
            nodes = [f"/dev/{pool.name}-{number}" for number in range(SIMULATED_DRIVES)]
            return simulator.SimulatedDrivePool(dict.fromkeys(nodes, simulator.SIMULATED_DRIVE))
        return simulator.SimulatedPool(SIMULATED_SPACE)

    host = simulator.Simulator(_pools(configuration, made))
    for pool in host.pools.values():
        if isinstance(pool, simulator.SimulatedDrivePool):
            host.disks += [simulator.simulated_disk(node) for node in pool.drives]
    return host


def _pools(configuration: Config, made: Callable[[PoolConfig], Pool]) -> dict[tuple[str, str], Pool]:
    return {
        (sub_system.name, pool.name): made(pool) for sub_system in configuration.subsystem for pool in sub_system.pool
    }


def _pool(pool: PoolConfig, *, settle: bool) -> Pool:
    if pool.kind == "lvm":
        found = LvmPool(pool.vg, pool.thin_pool or None, overwrite=pool.overwrite)
        if settle:
            try:
                found.settle()
            except HardwareError as error:
                log.warning("%s", error)
        return found
    return FilesPool(Path(pool.path), sparse=pool.sparse)


def _hardware(configuration: Config, *, simulate: bool, settle: bool = True) -> Hardware:
    """The host; with `settle`, what a crash left under way in its pools is taken back first."""
    if simulate:
        return _simulated(configuration)
    # rtslib takes a tenth of a second to load and needs a kernel with LIO; the simulator needs neither.
    try:
        from vdsprovd.hardware.lio import Lio  # noqa: PLC0415
    except ModuleNotFoundError as error:
        missing = f"this is an installation for clients only, without {error.name}"
        raise HardwareError(f"{missing}; install the daemon's needs with: pip install 'vdsprovd[daemon]'") from error
    return Lio(_pools(configuration, partial(_pool, settle=settle)))


def _inherited() -> dict[str, socket.socket]:
    """The sockets that systemd opened for us, if it did, by name."""
    try:
        return activation.systemd_sockets()
    except ValueError as error:
        raise OSError(f"cannot take the sockets that systemd passes: {error}") from error


def _listener(configuration: Config, path: str | None, *, simulate: bool) -> socket.socket:
    """A socket of our own: 0660, root's and the configured group's."""
    gid = -1
    if not simulate:
        try:
            gid = grp.getgrnam(configuration.provider.group).gr_gid
        except KeyError:
            log.warning("there is no group %s; only root can connect", configuration.provider.group)
    where = Path(path or configuration.provider.socket)
    if path is None:
        where.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    return activation.bind(where, 0o660, gid)


async def _answer_those_who_wait(listener: socket.socket, failure: str) -> None:
    """Tell the callers for whom systemd started us why there is no provider. Their calls are in the socket already."""
    gate = Gate(os.geteuid(), group_roles(RolesConfig()))
    gate.failure = failure
    # No call gets beyond the gate, so none needs a context.
    service = make_service(interfaces.describe(cast(Context, None)), gate, Counted())
    await service.serve(listener)
    await asyncio.sleep(1)
    await service.close()


if __name__ == "__main__":
    sys.exit(main())
