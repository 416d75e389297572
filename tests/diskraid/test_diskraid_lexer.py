"""Lines become words, and words values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdsprovd.diskraid import grammar, lexer, values
from vdsprovd.diskraid.commands import FORMS
from vdsprovd.diskraid.lexer import Word
from vdsprovd.diskraid.problems import Mistake

GIB = 1 << 30
MIB = 1 << 20


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", []),
        ("  \t ", []),
        ('rem anything " at all', []),
        ("REM", []),
        ("list luns", [Word("list"), Word("luns")]),
        ('name lun "my disk"', [Word("name"), Word("lun"), Word("my disk", quoted=True)]),
        ('name lun ""', [Word("name"), Word("lun"), Word("", quoted=True)]),
        ("size=10", [Word("10", "size")]),
        ("size = 10", [Word("", "size"), Word("10")]),
        ("drives=0, 1 ,2", [Word("0,1,2", "drives")]),
        ('secret="ab" cd', [Word("ab", "secret", quoted=True), Word("cd")]),
        ('a"b c"d', [Word("ab cd", quoted=True)]),
        ("secret=a=b", [Word("a=b", "secret")]),
        ('secret="a b"', [Word("a b", "secret", quoted=True)]),
        ("secret= initiator=x", [Word("", "secret"), Word("x", "initiator")]),
        ('"a=b"', [Word("a=b", quoted=True)]),
    ],
)
def test_words(line: str, found: list[Word]) -> None:
    """Blanks separate words, but not in quotes, and not around equals signs and commas."""
    assert lexer.words(line) == found


def test_a_quote_that_does_not_end() -> None:
    """It is a mistake, and what is in it, which could be a secret, is not shown."""
    with pytest.raises(Mistake, match="column 13") as mistake:
        lexer.words('chap secret="hidden')
    assert "hidden" not in str(mistake.value)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("chap target set secret=abc", "chap target set secret=***"),
        ("chap target set SEC = abc initiator=x", "chap target set SEC = ***"),
        ('chap target set initiator=x secret=a"b c"d', "chap target set initiator=x secret=***"),
        ("chap target set secret=*abc", "chap target set secret=***"),
        ("chap target set secret=a=b", "chap target set secret=***"),
        ("chap target set secret=*", "chap target set secret=*"),
        ("chap target set secret=* ;abcdefghijkl", "chap target set secret=***"),
        ("chap target set secret=*  , abcdefghijkl", "chap target set secret=***"),
        ("chap target set secret=", "chap target set secret="),
        ("chap target set secret= initiator=x", "chap target set secret= initiator=x"),
        ("name lun secretary", "name lun secretary"),
        ("rem secret=x", "rem secret=x"),
    ],
)
def test_secrets_are_taken_out(line: str, shown: str) -> None:
    """Nothing of a secret is left, however it is quoted; what comes after it goes, too."""
    assert lexer.without_secrets(line) == shown


@given(st.text(alphabet="abc*=\"' ,;", min_size=1))
def test_no_secret_survives(text: str) -> None:
    """What the language takes for the secret is not in the line that is shown, whatever it is made of."""
    line = f"chap target set secret={text}"
    try:
        _, found = grammar.match(lexer.words(line), FORMS)
    except Mistake:
        return
    secret = found.get("secret")
    shown = lexer.without_secrets(line)
    assert "".join(shown.split()) == "chaptargetsetsecret=***" or (shown == line and secret in ("", "*"))


@given(st.text())
def test_no_line_breaks_the_lexer_or_the_grammar(line: str) -> None:
    """Whatever the line, it is a command of the table, or a mistake that can be told."""
    try:
        found = lexer.words(line)
        if found:
            form, _ = grammar.match(found, FORMS)
            assert form in FORMS
    except Mistake as mistake:
        assert str(mistake)


_WORDS = sorted(
    {word for form in FORMS for place in form.words for word in grammar.options(place)}
    | {f"{parameter.key}=" for form in FORMS for parameter in form.parameters}
    | {word for form in FORMS for word in form.bare_words}
    | {"0", "1,2", "0-0", "10GB", '"', '"a b"', "=", ",", "true", "x"}
)


@given(st.lists(st.sampled_from(_WORDS), max_size=8), st.data())
def test_no_words_of_the_language_break_the_grammar(words: list[str], data: st.DataObject) -> None:
    """However the language's own words are put together, they are a command, a comment or a mistake."""
    line = "".join(word + data.draw(st.sampled_from(["", " "])) for word in words)
    try:
        found = lexer.words(line)
        if found:
            grammar.match(found, FORMS)
    except Mistake as mistake:
        assert str(mistake)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10", 10 * MIB),
        ("10MB", 10 * MIB),
        ("1gb", GIB),
        (".99 GB", int(0.99 * GIB) + 1),
        ("512B", 512),
        ("1.5KB", 1536),
        ("2Tb", 2 << 40),
        ("1PB", 1 << 50),
        ("0.1B", 1),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """MB if there is no unit; units are powers of 1024; a part of a byte is one."""
    assert values.size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1XB", "GB", "1e3", "9000PB", "1,5GB", "1 0", "٣"])
def test_no_sizes(text: str) -> None:
    """What is no size is told with the text."""
    with pytest.raises(ValueError, match=repr(text)):
        values.size(text)


@given(st.integers(1, (1 << 63) - 1))
def test_sizes_in_bytes_are_exact(number: int) -> None:
    """No byte is lost, however large the size."""
    assert values.size(f"{number}B") == number


def test_abbreviations() -> None:
    """Three letters and more will do where one word is meant; a whole word is never an abbreviation."""
    forms = [form for form in FORMS if form.name in ("select", "remove", "recover", "login", "logout", "list")]
    form, found = grammar.match(lexer.words("SEL LUN 5"), forms)
    assert (form.name, found.words, found.operand) == ("select", ("select", "lun"), 5)
    assert grammar.match(lexer.words("lis lun"), forms)[1].words == ("list", "luns")
    with pytest.raises(Mistake, match="LOGIN or LOGOUT"):
        grammar.match(lexer.words("log target iadapter=0"), forms)
    with pytest.raises(Mistake, match="'se' is no command"):
        grammar.match(lexer.words("se lun 5"), forms)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("frobnicate", "'frobnicate' is no command; type HELP"),
        ("list", "LIST is not complete; there can be HBAPORTS, IADAPTERS"),
        ("list frogs", "'frogs' cannot follow LIST"),
        ("create lun simple size=", "SIZE= has no value"),
        ("create lun simple size=ten", "SIZE=: 'ten' is no size"),
        ("create lun simple size=1 siz=2", "SIZE= is there twice"),
        ("create lun simple colour=red", "COLOUR= is no parameter of CREATE LUN SIMPLE"),
        ("create target iscsiname=x", "NAME= is missing"),
        ("create lun simple 7", "'7' is more than CREATE LUN SIMPLE takes"),
        ("associate targets", "<n>[,<n>[,...]] is missing"),
        ("associate targets 0,0", "something is there twice"),
        ("associate ports 1", "'1' is no port"),
        ("select lun x", "'x' is no number"),
        ("setflag drive hotspare=maybe", "'maybe' is neither TRUE nor FALSE"),
        ("unmask lun initiator=a;;b", "has an empty name"),
        ("automagic set rbp=16", "'16' is no priority from 0 to 15"),
        ("name lun " + 64 * "x", "fewer than 64 characters"),
        ('"list" luns', "'list' is no command"),
    ],
)
def test_mistakes(line: str, told: str) -> None:
    """A mistake says what is wrong, and how the command is written."""
    with pytest.raises(Mistake) as mistake:
        grammar.match(lexer.words(line), FORMS)
    assert told in str(mistake.value)
    if "is no command" not in told:
        assert "Syntax: " in str(mistake.value)


@pytest.mark.parametrize(
    "line", ["logout target iadapter= 0", "logout target iadapter =0", "LOGOUT TARGET IADAPTER = 0"]
)
def test_blanks_around_equals_signs(line: str) -> None:
    """Blanks around an equals sign change nothing: Microsoft's reference has one there."""
    assert grammar.match(lexer.words(line), FORMS)[1].get("iadapter") == 0


def test_an_empty_value_before_a_flag() -> None:
    """A word of the command's own is no value of the parameter before it."""
    with pytest.raises(Mistake, match="SIZE= has no value"):
        grammar.match(lexer.words("create lun simple size= noerr"), FORMS)
