"""Tests of scripts/lab itself, from the host: each boots a guest or two.

They need what the lab needs (docs/lab.md), and are skipped where its tools or its root file system are not there, so
that a plain `pytest` on a fresh machine does not spend minutes on a build. `scripts/lab --build` makes them run.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import is_kernel, kernels_of
from tests.terminal import on_terminal

CHECKOUT = Path(__file__).resolve().parents[1]
LAB = CHECKOUT / "scripts" / "lab"
sys.path.insert(0, str(LAB.parent))

from labhost import cache, network, recipe, rootfs  # noqa: E402  # found by the path above
from labhost.ending import LabError  # noqa: E402  # found by the path above

from tests.plain_user import HOME, IDS, NAME, UID, NoView, PlainUser, plain_user  # noqa: E402  # found by the path above

guest = pytest.mark.skipif(
    shutil.which("unshare") is None or not (cache.folder() / recipe.read(CHECKOUT).name).is_dir(),
    reason="no root file system of the lab; scripts/lab --build makes one",
)


def lab(*arguments: str, cwd: Path = CHECKOUT, limit: float = 100) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(LAB), *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


@pytest.fixture
def running() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, str(LAB), "--", "sh", "-c", "echo up; sleep 100"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"up\n"
        yield process
        process.terminate()
        process.wait(20)


# What a command sees


@guest
def test_the_status_and_both_outputs_of_the_command_come_back() -> None:
    done = lab("--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


@guest
@pytest.mark.parametrize(("command", "status"), [("kill -9 $$", 137), ("exec /no/such/program", 127)])
def test_signals_and_missing_commands_have_the_statuses_of_a_shell(command: str, status: int) -> None:
    assert lab("--", "sh", "-c", command).returncode == status


@guest
def test_output_is_clean_to_the_byte() -> None:
    program = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 8000)"
    done = subprocess.run(
        [sys.executable, str(LAB), "--", "python3", "-c", program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    assert done.stdout == bytes(range(256)) * 8000


@guest
def test_a_guest_has_what_the_project_needs(tmp_path: Path) -> None:
    script = tmp_path / "look.sh"
    script.write_text(
        """
        set -e
        test "$(id -u)" = 0
        test "$PWD" = "$1"
        python3 -c 'import vdsprovd, msgspec, rtslib_fb, pyudev; assert vdsprovd.__file__.startswith("'"$1"'")'
        for program in vdsprovd vdsprovctl pytest; do command -v $program; done
        test -d /sys/kernel/config/target
        test -d /sys/kernel/config/target/iscsi || mkdir /sys/kernel/config/target/iscsi
        modprobe -a brd loop dm_flakey
        getent group vdsprov
        getent hosts host1 | grep -q '^10.77.0.1 '
        grep -q 'iqn.2026-11.org.example:host1' /etc/iscsi/initiatorname.iscsi
        truncate -s 64M /srv/disk && losetup -f /srv/disk
        """
    )
    done = lab("--share", str(tmp_path), "--", "sh", str(script), str(CHECKOUT))
    assert done.returncode == 0, done.stdout + done.stderr


@guest
def test_the_checkout_is_a_copy_and_a_shared_folder_is_not(tmp_path: Path) -> None:
    mark = f"left-by-a-guest-{os.getpid()}"
    done = lab("--share", str(tmp_path), "--", "sh", "-c", f"touch {mark} tests/{mark} && ls {mark} > {tmp_path}/seen")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "seen").read_text() == f"{mark}\n"
    assert not (CHECKOUT / mark).exists()
    assert not (CHECKOUT / "tests" / mark).exists()


@guest
def test_the_command_starts_in_the_callers_folder() -> None:
    assert lab("--", "pwd", cwd=CHECKOUT / "tests").stdout == f"{CHECKOUT}/tests\n"
    assert lab("--", "pwd", cwd=Path("/")).stdout == f"{CHECKOUT}\n"


@guest
def test_on_a_terminal_the_command_gets_one() -> None:
    with on_terminal([sys.executable, str(LAB), "--", "bash", "--norc"], CHECKOUT, os.environ) as terminal:
        terminal.expect("# ")
        terminal.type("tty; echo $((6 * 7))\r")
        assert "/dev/tty" in terminal.expect("42\n")
        terminal.type("exit 5\r")
        assert terminal.end() == 5


# Other kinds of guest


@guest
def test_systemd_comes_up_whole() -> None:
    done = lab("--systemd", "--", "sh", "-c", "systemctl is-system-running; systemctl --failed; exit 3")
    assert done.returncode == 3
    assert done.stdout.splitlines()[0] == "running", done.stdout


@guest
def test_state_outlives_a_boot(tmp_path: Path) -> None:
    folders = ("/etc/vdsprovd", "/var/lib/vdsprovd", "/srv/state")
    write = "; ".join(f"echo {folder} > {folder}/mark" for folder in folders)
    assert lab("--state", str(tmp_path), "--", "sh", "-c", write).returncode == 0
    done = lab("--state", str(tmp_path), "--", "sh", "-c", f"cat {' '.join(f'{folder}/mark' for folder in folders)}")
    assert done.stdout.splitlines() == list(folders)


@pytest.mark.skipif(
    not (cache.folder() / recipe.stock_kernel_name()).is_dir(),
    reason="no stock kernel in the lab's cache; scripts/lab --qemu --build unpacks one",
)
@guest
def test_the_stock_kernel_runs_the_same_under_emulation(tmp_path: Path) -> None:
    script = "ls /sys/kernel/config/target; nproc; echo err >&2; pwd > $0/seen; exit 7"
    done = lab("--qemu", "--share", str(tmp_path), "--", "sh", "-c", script, str(tmp_path))
    assert (done.returncode, done.stderr) == (7, "err\n")
    assert done.stdout.split() == ["core", "dbroot", "version", "2"]
    assert (tmp_path / "seen").read_text() == f"{CHECKOUT}\n"


LOGIN = """
set -e
truncate -s 64M /srv/disk
/usr/bin/python3 - <<'X'
from rtslib_fb import FabricModule, FileIOStorageObject, LUN, NetworkPortal, TPG, Target
disk = FileIOStorageObject("disk", "/srv/disk", 64 << 20)
tpg = TPG(Target(FabricModule("iscsi"), "iqn.2026-11.org.example:lab"), 1)
tpg.enable = True
for name, value in {"generate_node_acls": 1, "demo_mode_write_protect": 0, "authentication": 0}.items():
    tpg.set_attribute(name, value)
NetworkPortal(tpg, "10.77.0.1", 3260)
LUN(tpg, 0, disk)
X
on-host 2 iscsiadm -m discovery -t st -p 10.77.0.1 >/dev/null
on-host 2 iscsiadm -m node -l >/dev/null
on-host 2 udevadm settle
on-host 2 sh -c 'echo written on host2 > /dev/disk/by-path/ip-10.77.0.1:3260-iscsi-iqn.2026-11.org.example:lab-lun-0'
on-host 2 iscsiadm -m node -u >/dev/null
head -n 1 /srv/disk
status=0
on-host 2 sh -c 'hostname; exit 9' || status=$?
exit $status
"""


@guest
def test_one_host_logs_in_to_another() -> None:
    done = lab("--hosts", "2", "--", "bash", "-c", LOGIN)
    assert done.stdout == "written on host2\nhost2\n", done.stderr
    assert done.returncode == 9


# Bad ends


@guest
def test_a_panic_is_told() -> None:
    done = lab("--", "sh", "-c", "echo c > /proc/sysrq-trigger; sleep 30")
    assert done.returncode == 70
    assert "panic" in done.stderr


@guest
def test_a_guest_that_turns_itself_off_is_no_success() -> None:
    done = lab("--", "sh", "-c", "echo o > /proc/sysrq-trigger; sleep 30")
    assert done.returncode == 70


@guest
def test_a_time_limit_ends_the_guest() -> None:
    done = lab("--timeout", "5", "--", "sleep", "100")
    assert done.returncode == 124
    assert "--timeout" in done.stderr


@guest
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_lab_leaves_nothing(running: subprocess.Popen[bytes], number: signal.Signals) -> None:
    kernels = kernels_of(running.pid)
    assert kernels
    running.send_signal(number)
    status = running.wait(20)
    assert status == (-9 if number == signal.SIGKILL else 128 + number)
    end = time.monotonic() + 5
    while any(is_kernel(kernel) for kernel in kernels) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(is_kernel(kernel) for kernel in kernels)
    assert str(cache.folder()) not in Path("/proc/mounts").read_text()


@guest
def test_two_labs_at_once_do_not_meet(running: subprocess.Popen[bytes]) -> None:
    assert lab("--", "sh", "-c", "ps ax | grep -c '[s]leep 100'; exit 4").stdout == "0\n"
    assert running.poll() is None


# Without root. The root file system is built from nothing: in a user namespace, which allows less.


@pytest.fixture(scope="module")
def user() -> Iterator[PlainUser]:
    if os.geteuid() != 0:
        pytest.skip("without root, all of these tests are about that already")
    with tempfile.TemporaryDirectory(dir=cache.folder(), prefix="plain-user-") as folder:
        try:
            with plain_user(Path(folder), CHECKOUT) as user:
                probe = run(user.command("unshare", "--user", "--map-root-user", "true"))
                if probe.returncode != 0:
                    pytest.skip(f"this machine forbids user namespaces: {probe.stderr}")
                yield user
        except NoView as error:
            pytest.skip(str(error))


def run(command: list[str], limit: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, check=False)


def lab_of(user: PlainUser, *arguments: str, changes: str = "", **variables: str) -> list[str]:
    return user.command("vdsprovd/scripts/lab", *arguments, changes=changes, **variables)


def assert_nothing_is_left(user: PlainUser, mounts: str) -> None:
    end = time.monotonic() + 15
    while user.processes() and time.monotonic() < end:
        time.sleep(0.05)
    assert user.processes() == {}
    assert user.mounts() == mounts


WORK = """
set -e
id -u
while [ ! -e "$1/go" ]; do sleep 0.1; done
pytest -q -m lab tests/contract/test_lun.py::test_nobody_reaches_a_lun_before_mask_association_and_portal_group
test -d /sys/kernel/config/target/iscsi
touch "$1/of-root" "$1/of-daemon"
chown daemon: "$1/of-daemon"
echo err >&2
exit 7
"""


@guest
@pytest.mark.timeout(600)  # it builds
def test_without_root_the_lab_is_built_and_runs_the_daemon_on_a_kernel(user: PlainUser) -> None:
    mounts = user.mounts()
    killed = user.home / ".cache/vdsprovd-lab/building-killed"  # by a build of the user's, with the ids of its range
    (killed / "root").mkdir(parents=True, mode=0o700)
    shared = user.home / "shared"
    shared.mkdir()
    for folder in (killed.parents[1], killed.parent, killed, shared):
        os.chown(folder, UID, UID)
    os.chown(killed / "root", IDS[0], IDS[0])
    inside = f"{HOME}/shared"
    command = lab_of(user, "--timeout", "100", "--share", inside, "--", "sh", "-c", WORK, "sh", inside)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        # It is read while COMMAND runs, which waits for us to have read it.
        first = process.stdout.readline()
        (shared / "go").touch()
        rest, errors = process.communicate()
    assert first == "0\n", errors
    assert "building the lab's root file system" in errors
    assert not killed.exists()
    assert "1 passed" in rest
    assert (process.returncode, errors.splitlines()[-1]) == (7, "err")
    assert (shared / "of-root").stat().st_uid == UID
    assert (shared / "of-daemon").stat().st_uid in IDS
    assert_nothing_is_left(user, mounts)


@guest
@pytest.mark.timeout(600)  # it may be the first, and build
def test_without_root_one_host_logs_in_to_another(user: PlainUser) -> None:
    done = run(lab_of(user, "--hosts", "2", "--", "bash", "-c", LOGIN), limit=500)
    assert (done.returncode, done.stdout) == (9, "written on host2\nhost2\n"), done.stderr


@guest
@pytest.mark.timeout(600)
def test_without_root_systemd_comes_up_whole(user: PlainUser) -> None:
    done = run(lab_of(user, "--systemd", "--", "sh", "-c", "systemctl is-system-running; exit 3"), limit=500)
    assert (done.returncode, done.stdout) == (3, "running\n"), done.stderr


@guest
@pytest.mark.timeout(600)
def test_without_root_a_killed_lab_leaves_nothing(user: PlainUser) -> None:
    mounts = user.mounts()
    command = lab_of(user, "--", "sh", "-c", "echo up; sleep 100")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert "linux.uml" in user.processes().values()
        process.kill()
    assert_nothing_is_left(user, mounts)


@guest
@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ("mount --bind /dev/null /etc/subuid", 77, rf"/etc/subuid gives {NAME} no range of ids"),
        ("mount --bind /dev/null /etc/subgid", 77, rf"/etc/subgid gives {NAME} no range of ids"),
        ('mount --bind /dev/null "$(command -v newuidmap)"', 69, r"newuidmap .*\n *sudo apt-get install .*\buidmap$"),
    ],
    ids=["subuid", "subgid", "uidmap"],
)
def test_without_root_what_the_machine_lacks_is_named(user: PlainUser, changes: str, status: int, told: str) -> None:
    # A stale USER, as su and setpriv leave it, is nobody's name.
    done = run(lab_of(user, "--", "true", changes=changes, USER="root"))
    assert done.returncode == status
    assert re.search(told, done.stderr, re.MULTILINE), done.stderr


@guest
def test_without_root_a_machine_that_forbids_namespaces_is_told(user: PlainUser) -> None:
    # The limit is one of the namespace that the user makes first, and is there what it is here.
    limited = 'echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --ambient-caps=-all --inh-caps=-all "$@"'
    outer = ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-ec", limited, "sh"]
    done = run(user.command(*outer, "vdsprovd/scripts/lab", "--", "true"), limit=20)
    assert done.returncode == 77
    assert "does not let you make user namespaces" in done.stderr
    assert "the setting user.max_user_namespaces is 0" in done.stderr
    assert user.processes() == {}


@guest
@pytest.mark.parametrize("mode", [0o755, 0o700, 0o777], ids=oct)
def test_the_cache_of_another_user_is_not_used(user: PlainUser, mode: int) -> None:
    theirs = user.home / f"theirs-{mode:o}"
    (theirs / recipe.read(CHECKOUT).name).mkdir(parents=True)
    theirs.chmod(mode)
    done = run(lab_of(user, "--", "true", VDSPROVD_LAB_CACHE=f"{HOME}/{theirs.name}"))
    assert done.returncode == 73
    assert "another user's" in done.stderr


def test_a_missing_tool_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from labhost import prerequisites\n"
        "prerequisites.BUILDING['no-such-program'] = 'some-package'\n"
        "from labhost.command import main\n"
        "sys.exit(main(['--build']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(LAB.parent)],
        env={**os.environ, "VDSPROVD_LAB_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "namespaces" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 69
    assert re.search(r"apt-get install .*some-package", done.stderr)


def test_a_full_disk_is_told_before_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VDSPROVD_LAB_CACHE", str(tmp_path))
    with pytest.raises(LabError, match="MiB free") as raised:
        cache.obtain("rootfs-0", "labhost.rootfs", {}, need=1 << 60, announce="")
    assert raised.value.status == 73


@pytest.mark.parametrize("arguments", [[], ["--no-such-option", "--", "true"], ["--hosts", "0", "--", "true"]])
def test_wrong_use_has_a_status_of_its_own(arguments: list[str]) -> None:
    assert lab(*arguments).returncode == 64


# Its parts


def test_the_mirror_is_the_machines_own(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "a.sources").write_text(
        "Types: deb\nURIs: http://mirror.test/debian-security\nSuites: x\n\n"
        "Types: deb\n# a comment\nURIs: http://mirror.test/debian/\nSuites: x\nSigned-By: /keys/one.gpg\n"
    )
    assert rootfs.find_mirror(tmp_path) == rootfs.Mirror("http://mirror.test/debian/", "/keys/one.gpg")
    (tmp_path / "sources.list.d" / "a.sources").unlink()
    (tmp_path / "sources.list").write_text(
        "# deb http://no.test/debian x main\ndeb [arch=amd64 signed-by=/keys/two.gpg] http://m.test/debian x main\n"
    )
    assert rootfs.find_mirror(tmp_path) == rootfs.Mirror("http://m.test/debian", "/keys/two.gpg")


def test_a_new_dependency_makes_a_new_root_file_system(tmp_path: Path) -> None:
    text = (CHECKOUT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "scripts").mkdir()
    shutil.copytree(CHECKOUT / "scripts/debian", tmp_path / "scripts/debian", ignore_dangling_symlinks=True)
    same = recipe.read(tmp_path).name
    (tmp_path / "pyproject.toml").write_text(text.replace('"click', '"colorama",\n    "click', 1))
    assert same == recipe.read(CHECKOUT).name != recipe.read(tmp_path).name


def test_the_switch_learns_where_an_address_is() -> None:
    ports = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(3)]
    one, two, three = ports
    learned: dict[bytes, socket.socket] = {}
    first, second, everyone = b"\x52\0\0\0\0\1", b"\x52\0\0\0\0\2", b"\xff" * 6
    assert network.way(everyone + first, one, ports, learned) == [two, three]
    assert network.way(first + second, two, ports, learned) == [one]
    assert network.way(second + first, one, ports, learned) == [two]
    for port in ports:
        port.close()


@guest
@pytest.mark.timeout(200)
def test_the_document_s_examples() -> None:
    """What docs/lab.md has a reader type works, but for all of the lab's tests, which are scripts/test's to run."""
    text = (CHECKOUT / "docs/lab.md").read_text()
    found = [line.partition("  #")[0].strip() for line in re.findall(r"^    (scripts/lab .*)$", text, re.MULTILINE)]
    short = [line for line in found if "pytest" not in line]
    assert len(short) == 4 == len(found) - 2
    results = CHECKOUT / "results"
    results.mkdir()
    try:
        for line in short:
            done = subprocess.run(
                line, shell=True, cwd=CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, line + done.stdout + done.stderr
        assert "o- iscsi" in (results / "tree").read_text()
    finally:
        shutil.rmtree(results)
