"""The shell without a terminal: commands on standard input."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.vdsprovctl import MIB, PROGRAM, Daemon

WEB = "iqn.2026-11.org.example:web"


def test_commands_one_after_the_other(daemon: Daemon) -> None:
    """Where one is stays from line to line; comments and empty lines are nothing."""
    shown = daemon.shows(
        "shell",
        stdin=f"""\
# A LUN and a target for it.
cd /array0/targets
create {WEB} portal=all

cd ../luns
create 'web 0' size=10M target=web   # and its place
pwd
/array0
pwd
exit
create never size=1M
""",
    )
    lines = shown.splitlines()
    assert [line.split(":")[0] for line in lines[:1]] == ["Created target iqn.2026-11.org.example"]
    assert lines[1].startswith("Created LUN web 0 (")
    assert lines[2:] == ["/array0/luns", "/array0"]
    assert [lun["size"] for lun in daemon.client.luns(daemon.sub_system())] == [10 * MIB]


@pytest.mark.parametrize(
    ("line", "status", "told"),
    [
        ("ls /array9", 6, "cannot ls: there is no /array9"),
        ("/array0/luns create size=", 2, "create: size: '' is no size"),
        ("/array0/luns create 'web", 2, "a quotation mark is missing: '"),
        ("/array0/luns create size=99999G", 9, "cannot create the LUN: "),
        ("/array0/luns/old delete", 14, "cannot delete LUN "),
        ("nothing", 2, "there is no command 'nothing' in /; see: help"),
    ],
)
def test_the_first_that_fails_ends_it(daemon: Daemon, line: str, status: int, told: str) -> None:
    """What comes after it is not done; its line is told, and its status is the shell's."""
    daemon.make_lun("old")
    done = daemon.run("shell", stdin=f"ls\n{line}\n/array0/luns/old delete yes=true\n")
    assert done.returncode == status
    assert f"vdsprovctl: line 2: {told}" in done.stderr
    assert [lun["friendlyName"] for lun in daemon.client.luns(daemon.sub_system())] == ["old"]


def test_nothing_to_do(daemon: Daemon) -> None:
    """No commands are no mistake, nor is an end without a newline."""
    assert daemon.shows("shell") == ""
    assert daemon.shows("shell", stdin="pwd") == "/\n"


def test_commands_are_no_secrets(daemon: Daemon) -> None:
    """A verb that reads standard input does not get the commands that come next."""
    target = daemon.make_target(WEB)
    done = daemon.run("shell", stdin=f"/array0/targets/{WEB}/chap set\npwd-is-a-secret\n")
    assert done.returncode == 2
    assert "line 1: set: there is no secret on standard input" in done.stderr
    done = daemon.run("shell", stdin=f"call IscsiTarget.GetProperties -\n{target}\n")
    assert done.returncode == 2
    assert "line 1: call: standard input is no JSON object" in done.stderr


def test_commands_are_carried_out_as_they_come(daemon: Daemon) -> None:
    """A program that drives the shell through a pipe gets each answer before it says the next thing."""
    with subprocess.Popen(
        [*PROGRAM, "shell"],
        env=daemon.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin and process.stdout
        for line, answer in (("pwd", "/"), ("cd /array0", None), ("pwd", "/array0")):
            process.stdin.write(f"{line}\n")
            if answer is not None:
                assert process.stdout.readline() == f"{answer}\n"
        process.stdin.close()
        assert process.wait(30) == 0


def test_what_others_delete_meanwhile(daemon: Daemon) -> None:
    """The commands about it are not carried out elsewhere instead."""
    daemon.make_lun("web0")
    daemon.make_lun("web1")
    lines = ["cd /array0/luns/web0", "/array0/luns/web0 delete yes=true", "rename gone"]
    done = daemon.run("shell", stdin="\n".join(lines))
    assert done.returncode == 6
    assert "LUN web0 is gone; you are in /array0/luns now" in done.stderr
    assert "line 3: so nothing was done" in done.stderr
    assert [lun["friendlyName"] for lun in daemon.client.luns(daemon.sub_system())] == ["web1"]


def test_the_reader_has_read_enough(daemon: Daemon) -> None:
    """head ends early, and that is no failure."""
    for number in range(200):
        daemon.make_lun(f"a-long-name-so-that-a-pipe-is-full-soon-{number}")
    done = subprocess.run(
        ["sh", "-c", f"{' '.join(PROGRAM)} shell ls / depth=0 | head -1; "],
        env=daemon.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_without_a_daemon(tmp_path: Path, daemon: Daemon) -> None:
    """It says where it looked, with the status for it."""
    done = daemon.run("--socket", str(tmp_path / "nothing"), "shell", "ls")
    assert done.returncode == 3
    assert str(tmp_path / "nothing") in done.stderr
