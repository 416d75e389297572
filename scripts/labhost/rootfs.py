"""Builds the guest's root file system; runs in the namespaces (labhost.namespaces)."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from labhost.ending import CANNOT_BUILD, LabError
from labhost.namespaces import Json

ARCHIVE_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"  # of Debian's package of that name
VENV = "/opt/vdsprovd"
RTSLIB = "/opt/rtslib"
# Nobody reads manuals in a guest, and they are a quarter of its files.
EXCLUDED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")

WRAPPER = """\
#!{venv}/bin/python3
import sys

from {module} import {function}

sys.exit({function}())
"""


@dataclass(frozen=True)
class Mirror:
    uri: str
    keyring: str


def find_mirror(sources: Path = Path("/etc/apt")) -> Mirror:
    """The machine's own mirror: the first entry of its sources that serves Debian itself."""
    one_line = [sources / "sources.list", *sorted(sources.glob("sources.list.d/*.list"))]
    for path in sorted(sources.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
            signed = fields.get("Signed-By", "")
            for uri in fields.get("URIs", "").split():
                if _serves_debian(uri) and fields.get("Enabled", "yes") != "no":
                    return Mirror(uri, signed if signed.startswith("/") else ARCHIVE_KEYRING)
    for path in one_line:
        lines = path.read_text().splitlines() if path.exists() else []
        for line in lines:
            if found := re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)", line):
                options = dict(option.split("=", 1) for option in (found[1] or "").split() if "=" in option)
                if _serves_debian(found[2]):
                    return Mirror(found[2], options.get("signed-by", ARCHIVE_KEYRING))
    raise LabError(f"no Debian mirror in the apt sources of this machine ({sources})", CANNOT_BUILD)


def _serves_debian(uri: str) -> bool:
    return uri.rstrip("/").endswith("/debian")


def machine_apt_options() -> list[str]:
    """The machine's own settings for reaching its mirror: proxies, certificates, retries."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    wanted = re.compile(r'^Acquire::(?:https?|Retries|Check-Valid-Until|Check-Date)[:A-Za-z-]* ".+";$')
    return [line for line in dump.splitlines() if wanted.match(line)]


def inside(task: Json) -> int:
    target, log_path = Path(cast(str, task["target"])), Path(cast(str, task["log"]))
    recipe = cast(dict[str, object], task["recipe"])
    root = target / "root"
    mirror = find_mirror()
    with log_path.open("w") as log:
        try:
            _system(root, mirror, recipe, log)
            apt = ForeignApt(target / "apt", mirror, str(recipe["kernel_suite"]), log)
            apt.unpack(str(recipe["kernel_package"]), root)
            apt.close()
            # Without root nobody makes device nodes.
            _bind(Path("/dev"), root)
            _modules(root, root / "usr/lib/uml/modules", log)
            _python(root, cast(list[str], recipe["dependencies"]), cast(list[str], recipe["rtslib"]), log)
            _wrappers(root, cast(list[list[str]], recipe["scripts"]))
            _furnish(root, log)
        except subprocess.CalledProcessError as error:
            log.flush()
            tail = "\n".join(f"     {line}" for line in log_path.read_text().splitlines()[-15:])
            raise LabError(
                f"{shlex.join(error.cmd)[:200]} ended with status {error.returncode}:\n{tail}", CANNOT_BUILD
            ) from error
    return 0


def _system(root: Path, mirror: Mirror, recipe: dict[str, object], log: IO[str]) -> None:
    command = [
        "mmdebstrap",
        # In the namespaces this process is root, whoever called the lab.
        "--mode=root",
        "--variant=minbase",
        f"--include={','.join(cast(list[str], recipe['packages']))}",
        f"--keyring={mirror.keyring}",
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
        *(f"--aptopt={option}" for option in machine_apt_options()),
        # The sandbox user may not reach a cache in somebody's home.
        '--aptopt=APT::Sandbox::User "root";',
        str(recipe["suite"]),
        str(root),
        mirror.uri,
    ]
    # No service is started in the chroot: systemd's packages see that it is one.
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)


class ForeignApt:
    """Packages of a suite that need not be the machine's own, unpacked and not installed.

    It works with a configuration and lists of its own, in a folder that is removed at the end.
    """

    def __init__(self, folder: Path, mirror: Mirror, suite: str, log: IO[str]) -> None:
        self._folder, self._log = folder, log
        for inner in ("lists/partial", "cache/archives/partial"):
            (folder / inner).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(f"deb [signed-by={mirror.keyring}] {mirror.uri} {suite} main\n")
        self._options = [
            f"-oDir::Etc::SourceList={folder}/sources.list",
            "-oDir::Etc::SourceParts=/dev/null",
            "-oDir::Etc::Preferences=/dev/null",
            "-oDir::Etc::PreferencesParts=/dev/null",
            f"-oDir::State={folder}",
            f"-oDir::State::Lists={folder}/lists",
            f"-oDir::State::status={folder}/status",
            f"-oDir::Cache={folder}/cache",
            "-oAPT::Sandbox::User=root",
            "-oAcquire::Languages=none",
        ]
        self._run("apt-get", "-q", *self._options, "update")

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            check=True,
        )
        return done.stdout

    def dependencies(self, package: str) -> list[str]:
        listed = self._run("apt-cache", *self._options, "depends", "--important", package)
        return re.findall(r"^\s+Depends: (\S+)$", listed, re.MULTILINE)

    def unpack(self, package: str, into: Path) -> None:
        self._run("apt-get", "-q", *self._options, "download", package)
        self._run("dpkg-deb", "-x", str(next(self._folder.glob(f"{package}_*.deb"))), str(into))

    def close(self) -> None:
        shutil.rmtree(self._folder)


def _modules(root: Path, modules: Path, log: IO[str]) -> None:
    """Puts the kernel's modules where modprobe looks for them."""
    (root / "usr/lib/modules").mkdir(parents=True, exist_ok=True)
    for version in modules.iterdir():
        place = root / "usr/lib/modules" / version.name
        place.symlink_to(Path("/", version.relative_to(root)))
        _chroot(root, ["depmod", version.name], log)


def _chroot(root: Path, command: list[str], log: IO[str], environment: dict[str, str] | None = None) -> None:
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", **(environment or {})}
    subprocess.run(
        ["chroot", str(root), *command], env=clean, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True
    )


def _python(root: Path, dependencies: list[str], rtslib: list[str], log: IO[str]) -> None:
    """A venv with the project's dependencies; the checkout itself joins it at boot. Beside it, other versions of rtslib.

    pip runs in the chroot, for its Python, but with this machine's configuration: the same registry, certificates and
    folders of wheels.
    """
    merged = configparser.RawConfigParser()
    home = Path.home()
    files: list[str | Path] = [
        "/etc/pip.conf",
        "/etc/xdg/pip/pip.conf",
        home / ".pip/pip.conf",
        home / ".config/pip/pip.conf",
    ]
    if named := os.environ.get("PIP_CONFIG_FILE"):
        files.append(named)
    merged.read(files)
    with (root / "tmp/pip.conf").open("w") as file:
        merged.write(file)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_")
        or re.fullmatch(r"(?i)\w+_PROXY|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE", name)
    }
    values = [value for section in merged.sections() for _, value in merged.items(section)]
    for place in sorted({"/etc/resolv.conf", "/etc/hosts", *_paths([*environment.values(), *values])}):
        _bind(Path(place), root)
    environment["PIP_CONFIG_FILE"] = "/tmp/pip.conf"  # noqa: S108 -- of a chroot that only this process knows
    _chroot(root, ["python3", "-m", "venv", VENV], log)
    pip = [f"{VENV}/bin/python3", "-m", "pip", "install", "--no-cache-dir", "--no-input"]
    _chroot(root, [*pip, *dependencies], log, environment)
    for version in rtslib:
        into = ["--no-deps", f"--target={RTSLIB}/{version}", f"rtslib-fb=={version}", "six"]
        _chroot(root, [*pip, *into], log, environment)
    # The suite's, which is in one folder with all of the suite's Python packages.
    suites = root / f"{RTSLIB}/debian".lstrip("/")
    suites.mkdir(parents=True)
    for name in ("rtslib_fb", "six.py"):
        (suites / name).symlink_to(f"/usr/lib/python3/dist-packages/{name}")
    (root / "tmp/pip.conf").unlink()


def _paths(values: list[str]) -> set[str]:
    """The files and folders that a configuration names. A folder that is an index links to files beside it."""
    words = [word for value in values for word in value.split()]
    named = [Path(word) for word in words if word.startswith("/")]
    named += [Path(word.removeprefix("file://")).parent for word in words if word.startswith("file:///")]
    return {str(path) for path in named if path.exists() and path != Path("/")}


def _bind(place: Path, root: Path) -> None:
    """Shows a file or folder of the machine in the chroot, until the namespace ends."""
    inner = root / place.relative_to("/")
    if place.is_dir():
        inner.mkdir(parents=True, exist_ok=True)
    elif not inner.exists():
        inner.parent.mkdir(parents=True, exist_ok=True)
        inner.unlink(missing_ok=True)
        inner.touch()
    subprocess.run(["mount", "--rbind", str(place.resolve()), str(inner)], check=True)


def _wrappers(root: Path, scripts: list[list[str]]) -> None:
    """The project's commands, so that nothing has to be installed at boot."""
    for name, entry in scripts:
        module, function = entry.split(":")
        wrapper = root / VENV.lstrip("/") / "bin" / name
        wrapper.write_text(WRAPPER.format(venv=VENV, module=module, function=function))
        wrapper.chmod(0o755)
        (root / "usr/bin" / name).symlink_to(f"{VENV}/bin/{name}")  # where the units look for it


def _furnish(root: Path, log: IO[str]) -> None:
    """Mount points of the lab, and the throw-away key with which on-host reaches the other guests."""
    for folder in ("lab/guest", "lab/run", "lab/host"):
        (root / folder).mkdir(parents=True)
    # target_core_mod looks for its folder when it is loaded, not later.
    for folder in ("etc/target/pr", "etc/target/alua"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    with (root / "etc/group").open("a") as file:
        file.write("vdsprov:x:799:\n")  # where the checkout has no sysusers file; groupadd takes long at every boot
    ssh = root / "root/.ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    _chroot(root, ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", "/root/.ssh/lab"], log)
    shutil.copy(ssh / "lab.pub", ssh / "authorized_keys")
    (root / "usr/local/bin/on-host").symlink_to("/lab/guest/on-host")
    # These would wake up in a guest that lives for a minute, wait for a terminal that nobody has, or look for hardware:
    # of ledmon, only its program ledctl is wanted, and openipmi comes with it.
    timers = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer")
    for unit in (*timers, "getty.target", "ledmon.service", "openipmi.service"):
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
