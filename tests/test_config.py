"""The configuration file: what is wrong with it is said with file and line or key, and ends with status 78."""

import re
from pathlib import Path

import pytest

from vdsprovd.__main__ import main
from vdsprovd.config import Config, ConfigError, load, parse_portal

GOOD = """
[provider]
socket = "{folder}/sock"
state = "{folder}/state"
[roles]
viewer = ["adm"]
[[subsystem]]
name = "array0"
iqn-prefix = "iqn.2026-11.org.example"
portals = ["10.77.0.1:3260", "[fd00::1]", "10.77.0.2"]
[[subsystem.pool]]
name = "files0"
kind = "files"
path = "{folder}"
"""


def read(folder: Path, text: str) -> Config:
    """The configuration that the text is."""
    file = folder / "vdsprovd.toml"
    file.write_text(text)
    return load(file)


def test_a_good_file(tmp_path: Path) -> None:
    """Everything that is given is read; the rest has its default."""
    found = read(tmp_path, GOOD.format(folder=tmp_path))
    (sub_system,) = found.subsystem
    assert sub_system.portals == ("10.77.0.1:3260", "[fd00::1]", "10.77.0.2")
    assert sub_system.require_chap
    assert sub_system.import_target
    assert not sub_system.pool[0].sparse
    assert found.roles.viewer == ("adm",)
    assert found.roles.admin == ("vdsprov",)


@pytest.mark.parametrize(
    ("line", "other", "complaint"),
    [
        ('name = "array0"', "name = 1", "subsystem[0].name: Expected `str`, got `int`"),
        ('name = "array0"', 'name = "../array0"', "subsystem[0].name: Expected `str` matching regex"),
        ('name = "array0"', 'name = "array0"\ncolour = 1', "subsystem[0]: Object contains unknown field `colour`"),
        ("[roles]", "[rolls]", "Object contains unknown field `rolls`"),
        ('kind = "files"', 'kind = "tape"', "subsystem[0].pool[0].kind: Invalid enum value 'tape'"),
        ('kind = "files"', "", "subsystem[0].pool[0]: Object missing required field `kind`"),
        ('path = "{folder}"', 'path = "srv"', "subsystem[0].pool[0].path: 'srv' does not begin with /"),
        (
            'path = "{folder}"',
            'path = "{folder}"\nsparse = "yes"',
            "subsystem[0].pool[0].sparse: Expected `bool`, got `str`",
        ),
        ('path = "{folder}"', 'path = "{folder}/a,b"', "cannot be a pool: it has a comma"),
        ('path = "{folder}"', 'path = "{folder}/a\\nb"', "cannot be a pool: it has a comma, a character"),
        ('path = "{folder}"', f'path = "{{folder}}/{"x" * 200}"', "or more than 210 bytes"),
        ('state = "{folder}/state"', 'state = "a\\u0000b"', "provider.state: 'a\\x00b' has a character"),
        ('name = "array0"', 'name = "array0\\n"', "subsystem[0].name: Expected `str` matching regex"),
        ("[roles]", f"[roles]\nadmin = {'[' * 5000}", "recursion"),
        ("10.77.0.2", "10.77.0.300", "subsystem[0].portals[2]: '10.77.0.300' is no portal"),
        ("10.77.0.1:3260", "10.77.0.1:99999", "subsystem[0].portals[0]: '10.77.0.1:99999' is no portal"),
        ("iqn.2026-11.org.example", "iqn.2026-13.org", "subsystem[0].iqn-prefix: 'iqn.2026-13.org' does not look like"),
        ("[[subsystem.pool]]", "[[subsystem.pool]", "(at line 11, column "),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, other: str, complaint: str
) -> None:
    """Each mistake is named with the file and the key, or line, and the daemon ends with status 78."""
    file = tmp_path / "vdsprovd.toml"
    assert line in GOOD
    file.write_text(GOOD.replace(line, other).format(folder=tmp_path))
    assert main(["--config", str(file)]) == 78
    said = capsys.readouterr().err
    assert said.startswith(f"vdsprovd: {file}: ")
    assert complaint in said
    assert said.count("\n") == 1


def test_missing_things(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file, no subsystem, a pool without a folder, and names used twice end with status 78 too."""
    file = tmp_path / "vdsprovd.toml"
    good = GOOD.format(folder=tmp_path)
    twice = good + good[good.index("[[subsystem]]") :]
    for text, complaint in (
        (None, "cannot read the configuration: No such file or directory"),
        ("", "subsystem: there is none; add a table [[subsystem]]"),
        (good.replace(f'path = "{tmp_path}"', f'path = "{tmp_path}/none"'), f"there is no folder {tmp_path}/none"),
        (twice, "subsystem[0].name: 'array0' is used twice"),
        (good + good[good.index("[[subsystem.pool]]") :], "subsystem[0].pool[0].name: 'files0' is used twice"),
    ):
        if text is not None:
            file.write_text(text)
        assert main(["--config", str(file), "--check"]) == 78
        assert complaint in capsys.readouterr().err
    file.write_text(good)
    assert main(["--config", str(file), "--check"]) == 0


def test_portals() -> None:
    """An address with or without a port, IPv6 in brackets; the port defaults to 3260."""
    assert parse_portal("10.77.0.1:860") == ("10.77.0.1", 860)
    assert parse_portal("[FD00::0:1]:3261") == ("fd00::1", 3261)
    assert parse_portal("10.77.0.1") == ("10.77.0.1", 3260)
    for wrong in ("", "host", "10.77.0.1:0", "fd00::1", "[10.77.0.1", "10.77.0.1:x"):
        with pytest.raises(ValueError, match=re.escape(repr(wrong))):
            parse_portal(wrong)


def test_the_shipped_example_is_good() -> None:
    """The configuration that the package ships can be used as it is."""
    example = Path(__file__).parent.parent / "vdsprovd" / "vdsprovd.toml"
    assert load(example).subsystem


def test_an_error_is_no_config_error_elsewhere(tmp_path: Path) -> None:
    """A file that is no text is an error with its name, too."""
    file = tmp_path / "binary"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="binary"):
        load(file)
