"""The folder outside the checkout that keeps what is slow to build.

lock               held while something is built or removed
<name>/            finished; nothing but a rename puts one there
<name>.use         locked (shared) by every lab that runs from <name>; its time is that of the last use
building-<name>/   being built, or left by a build that was killed
processor<N>       locked by the guest that has that processor for itself; see processors
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from labhost.ending import CANNOT_BUILD, LabError, say
from labhost.namespaces import Json, run_inside

# A change of branch and back should not build twice; more than one spare only fills the disk.
SPARES = 1


def folder() -> Path:
    if named := os.environ.get("VDSPROVD_LAB_CACHE"):
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "vdsprovd-lab").absolute()


def ready() -> Path:
    """The folder, made if it is not there yet."""
    cache = folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"no cache in {cache}: {error.strerror}; set VDSPROVD_LAB_CACHE", CANNOT_BUILD) from error
    if not os.access(cache, os.R_OK | os.W_OK | os.X_OK):
        raise _foreign(cache)
    return cache


def _foreign(path: Path) -> LabError:
    return LabError(
        f"{path} is another user's, or read-only; set VDSPROVD_LAB_CACHE to a folder of your own", CANNOT_BUILD
    )


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except PermissionError as error:
        raise _foreign(path) from error


@contextlib.contextmanager
def locked(cache: Path) -> Iterator[None]:
    descriptor = _open(cache / "lock")
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another lab is building; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def use(cache: Path, name: str) -> int:
    """Keeps NAME from being removed for as long as the returned descriptor is open."""
    descriptor = _open(cache / f"{name}.use")
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.utime(descriptor)
    return descriptor


def obtain(name: str, builder: str, task: Json, *, need: int, announce: str) -> tuple[Path, int]:
    """The finished folder NAME, built by the module BUILDER if it is not there yet, and the descriptor that keeps it.

    NEED is the free space in bytes without which it makes no sense to begin.
    """
    cache = ready()
    finished = cache / name
    # Its files have the ids of whoever built it: a guest of root's shows those of a user's range, and the reverse.
    if finished.is_dir() and finished.stat().st_uid != os.geteuid():
        raise _foreign(finished)
    keep = use(cache, name)
    if finished.is_dir():
        return finished, keep
    with locked(cache):
        if finished.is_dir():  # by the lab that this one waited for
            return finished, keep
        _remove(cache, name)
        free = shutil.disk_usage(cache).free
        if free < need:
            raise LabError(
                f"{cache} has {free >> 20} MiB free, and the build needs {need >> 20} MiB; "
                "free some or set VDSPROVD_LAB_CACHE to a folder elsewhere",
                CANNOT_BUILD,
            )
        say(announce)
        building = cache / f"building-{name}"
        building.mkdir()
        log = cache / f"{name}.log"
        status = run_inside(builder, {**task, "target": str(building), "log": str(log)})
        if status != 0:
            raise LabError(f"the build failed; its log is {log}", CANNOT_BUILD)
        building.rename(finished)
    return finished, keep


def _remove(cache: Path, name: str) -> None:
    """Removes what nobody uses: killed builds, and finished ones beyond the spares. Called with the lock held."""
    stale = [path for path in cache.glob("building-*") if path.is_dir()]
    kind = name.rsplit("-", 1)[0]
    others = [path for path in cache.glob(f"{kind}-*") if path.is_dir() and path.name != name]
    others.sort(key=lambda path: _last_use(cache, path), reverse=True)
    for path in others[SPARES:]:
        descriptor = _open(cache / f"{path.name}.use")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # a lab of another checkout runs from it
        else:
            # Renamed first, so that a removal that is cut short does not look finished.
            stale.append(path.rename(cache / f"building-removed-{path.name}"))
            for left in (cache / f"{path.name}.use", cache / f"{path.name}.log"):
                left.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
    if stale:
        # Inside, because without root the files belong to ids that only the namespace may touch.
        run_inside("labhost.removal", {"folders": [str(path) for path in stale]})


def _last_use(cache: Path, path: Path) -> float:
    mark = cache / f"{path.name}.use"
    return mark.stat().st_mtime if mark.exists() else 0.0
