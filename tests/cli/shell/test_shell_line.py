"""What is typed, as words."""

import pytest

from vdsprovd.shell.line import LineError, Word, word, words


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("  \t ", []),
        ("# all of it", []),
        ("ls # the rest", ["ls"]),
        ("create web#1", ["create", "web#1"]),
        ("rename 'a b'", ["rename", "a b"]),
        ('rename "a \\"b\\" \\c"', ["rename", 'a "b" \\c']),
        ("rename a\\ b", ["rename", "a b"]),
        ("rename ''", ["rename", ""]),
        ("mask/ set iqn.2026-11.org.example:host1;x|y", ["mask/", "set", "iqn.2026-11.org.example:host1;x|y"]),
        ("rename ä€😀", ["rename", "ä€😀"]),
    ],
)
def test_words(line: str, expected: list[str]) -> None:
    """Quotation marks, backslashes and comments are as in sh; no other sign means anything, and nothing is left out."""
    assert [each.text for each in words(line)] == expected


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("size=10G", "size", "10G"),
        ("name='a b'", "name", "a b"),
        ("name=a=b", "name", "a=b"),
        ("name=", "name", ""),
        ("'name=a'", "", ""),
        ("=a", "", ""),
    ],
)
def test_keys(line: str, key: str, value: str) -> None:
    """A parameter by its name; a word whose = is quoted is none."""
    (found,) = words(line)
    assert (found.key, found.value if found.key else "") == (key, value)


def test_a_quotation_mark_that_is_missing() -> None:
    """The line is refused whole; only a line that is still being typed may lack one."""
    with pytest.raises(LineError, match="a quotation mark is missing"):
        words("delete web0 'web1")
    assert [each.text for each in words("delete web0 'web1", begun=True)] == ["delete", "web0", "web1"]


def test_a_programs_argument_is_a_word() -> None:
    """Blanks and quotation marks in it are its own."""
    assert word("name=it's a b") == Word("name=it's a b", equals=4)
