"""The published descriptions of the API, and what finds changes that would break clients."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from interface_changes import breaks

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDER = CHECKOUT / "vdsprovd/interfaces"

SAMPLE = """
# An interface with one of everything.
interface org.example.Things

type Size (small, large)

# Sent and received.
type Wish (size: Size, colour: ?string, weights: ?[]int)

# Received.
type Thing (id: string, wish: Wish, parts: []Part, reason: ?string, tags: [string]string, more: object)

type Part (number: int, kind: Kind)

type Kind (wood, iron)

# Makes one.
#
# Role: operator.
method Make(name: string, wish: ?Wish) -> (thing: Thing)

# [Supports 'more' flag]
method List(filter: ?string) -> (things: []Thing)

# [Requires 'more' flag]
method Follow() -> (name: string)

error Broken (message: string, code: ?int)
"""


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/interfaces."""
    command = [sys.executable, str(CHECKOUT / "scripts/interfaces"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_they_are_up_to_date_and_compatible() -> None:
    """The files are what scripts/interfaces makes of the code, and nothing that was published is broken; run it when this
    fails."""
    done = script("--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("method Follow() -> (name: string)", "", "method Follow is gone"),
        ("error Broken (message: string, code: ?int)", "", "error Broken is gone"),
        ("type Kind (wood, iron)", "type Kind (wood, steel)", "Kind has lost iron"),
        ("type Size (small, large)", "type Size (small, medium)", "Size has lost large"),
        ("type Size (small, large)", "type Size (small: int, large: int)", "Size has lost small"),
        ("Part (number: int, kind: Kind)", "Part (kind: Kind)", "type Part: number is gone"),
        ("colour: ?string, ", "", "type Wish: colour is gone"),
        ("number: int", "number: string", "type Part: number was int and is string"),
        ("number: int", "number: ?int", "type Part: number was int and is ?int"),
        ("tags: [string]string", "tags: object", "type Thing: tags was [string]string and is object"),
        ("parts: []Part", "parts: ?[]Part", "type Thing: parts was []Part and is ?[]Part"),
        ("weights: ?[]int)", "weights: ?[]int, depth: int)", "type Wish: depth is new and must be given"),
        ("colour: ?string", "colour: string", "type Wish: colour was ?string and is string"),
        ("size: Size, ", "size: ?Size, ", "type Wish: size was Size and is ?Size"),
        ("Make(name: string, wish: ?Wish)", "Make(name: string)", "Make's parameters: wish is gone"),
        ("Make(name: string, ", "Make(name: string, kind: Kind, ", "Make's parameters: kind is new and must be given"),
        ("Make(name: string, wish: ?Wish)", "Make(name: string, wish: Wish)", "wish was ?Wish and is Wish"),
        ("Make(name: string, wish: ?Wish)", "Make(wish: ?Wish, name: string)", "parameters are in another order"),
        ("Make(name: string, wish", "Make(name: string, kind: ?Kind, wish", "parameters are in another order"),
        ("-> (thing: Thing)", "-> (thing: ?Thing)", "Make's reply: thing was Thing and is ?Thing"),
        ("-> (thing: Thing)", "-> ()", "Make's reply: thing is gone"),
        ("-> (things: []Thing)", "-> (things: []Part)", "List's reply: things was []Thing and is []Part"),
        ("(message: string, code: ?int)", "(code: ?int)", "error Broken: message is gone"),
        ("# [Supports 'more' flag]\n", "", "List was to be called with `more` supported, and is never now"),
        ("[Supports 'more'", "[Requires 'more'", "List was to be called with `more` supported, and is required now"),
        ("Role: operator", "Role: admin", "Make needed the role operator and needs admin"),
        ("# Makes one.", "# [Requires 'more' flag]", "Make was to be called with `more` never, and is required now"),
    ],
)
def test_what_breaks_clients(old: str, new: str, said: str) -> None:
    """Everything that a client may rely on is missed when it goes."""
    assert SAMPLE.count(old) == 1
    found = breaks(SAMPLE, SAMPLE.replace(old, new))
    assert any(said in sentence for sentence in found), found
    assert all(sentence.startswith("org.example.Things: ") for sentence in found)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# Makes one.", "# Makes another one."),
        ("Role: operator", "Role: viewer"),
        ("interface org.example.Things", "interface org.example.Things\n\nmethod New() -> ()\n\nerror Odd (x: int)"),
        ("type Kind (wood, iron)", "type Kind (wood, plastic, iron)"),
        ("type Part (number: int, ", "type Part (weight: int, number: int, "),
        ("weights: ?[]int)", "weights: ?[]int, depth: ?int)"),
        ("reason: ?string", "reason: string"),
        ("Make(name: string, wish: ?Wish)", "Make(name: string, wish: ?Wish, kind: ?Kind)"),
        ("Make(name: string, ", "Make(name: ?string, "),
        ("-> (thing: Thing)", "-> (thing: Thing, cost: int)"),
        ("(message: string, code: ?int)", "(message: string, code: int, hint: ?string)"),
        ("# Makes one.", "# [Supports 'more' flag]"),
        ("[Requires 'more'", "[Supports 'more'"),
    ],
)
def test_what_may_be_added(old: str, new: str) -> None:
    """What a client that knows nothing of it does not notice may be changed."""
    assert SAMPLE.count(old) == 1
    assert breaks(SAMPLE, SAMPLE.replace(old, new)) == []


def test_nothing_incompatible_is_published(tmp_path: Path) -> None:
    """What would break a published method is said, and not written, until one insists; what is new is written."""
    assert script("--folder", str(tmp_path)).returncode == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        path.name: path.read_text() for path in FOLDER.iterdir()
    }
    lun = tmp_path / "org.vdsprov.Lun.varlink"
    current = lun.read_text()
    # Published: a method that the code does not have, and an interface.
    published = current + "\nmethod Explode(id: string) -> ()\n"
    lun.write_text(published)
    (tmp_path / "org.vdsprov.Moon.varlink").write_text("interface org.vdsprov.Moon\nmethod Rise() -> ()\n")
    for mode in (["--check"], []):
        done = script("--folder", str(tmp_path), *mode)
        assert done.returncode == 1
        assert "org.vdsprov.Lun: method Explode is gone" in done.stderr
        assert "interface org.vdsprov.Moon is gone" in done.stderr
        assert lun.read_text() == published
    assert script("--folder", str(tmp_path), "--break").returncode == 0
    assert lun.read_text() == current
    assert not (tmp_path / "org.vdsprov.Moon.varlink").exists()
    lun.write_text(current.replace("method Delete", "method Remove"))
    assert "method Remove is gone" in script("--folder", str(tmp_path), "--check").stderr
    lun.write_text(current.replace("method Delete(id: string) -> ()\n", ""))
    assert script("--folder", str(tmp_path), "--check").returncode == 1
    assert script("--folder", str(tmp_path)).returncode == 0
    assert lun.read_text() == current


def test_what_is_new_has_a_default(tmp_path: Path) -> None:
    """A field that is new in a reply may be missing for a newer Python client: one that has no default is not published."""
    assert script("--folder", str(tmp_path)).returncode == 0
    pool = tmp_path / "org.vdsprov.StoragePool.varlink"
    current = pool.read_text()
    assert "  name: string,\n" in current
    pool.write_text(current.replace("  name: string,\n", ""))
    done = script("--folder", str(tmp_path))
    assert done.returncode == 1
    assert "org.vdsprov.StoragePool: StoragePoolProperties: name is new and has no default in Python" in done.stderr
    lun = tmp_path / "org.vdsprov.Lun.varlink"
    pool.write_text(current)
    lun.write_text(re.sub(r",\n  deviation: string", "", lun.read_text()))
    assert script("--folder", str(tmp_path), "--check").returncode == 1
    assert script("--folder", str(tmp_path)).returncode == 0


def test_a_commit_can_be_compared_with() -> None:
    """--against tells what a release would break of an earlier one, and what is no commit."""
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=CHECKOUT, capture_output=True, check=False).returncode:
        pytest.skip("this is no checkout of git")
    assert script("--against", "HEAD").returncode == 0
    done = script("--against", "no-such-release")
    assert done.returncode == 2
    assert "no-such-release" in done.stderr
