"""Random sessions: whatever fails changes nothing, and nothing is fatal."""

import contextlib
import io

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.diskraid.raid import Raid
from vdsprovd.diskraid.commands import FORMS
from vdsprovd.diskraid.grammar import Form, Parameter, options
from vdsprovd.diskraid.session import Session

ON_THE_HOST = ("initiator", "login", "logout", "exit")
"""What is about this host's initiator, which a test of the array leaves alone, or ends the session."""
VALUES = {
    "size": ["1", "8MB", "4KB", "40MB", "1PB", "0", "x"],
    "stripesize": ["64KB", "3KB", "1GB"],
    "drives": ["0", "0,1", "3, 2", "0,0", "9", "4"],
    "name": ["one", '"two words"', '""', "x" * 300],
    "iscsiname": ["iqn.2026-11.org.example:a", "iqn.2026-11.org.example:b", "nonsense", ""],
    "secret": ["twelve-bytes", "short", "", "*"],
    "initiator": [
        "iqn.2026-11.org.example:h1",
        "iqn.2026-11.org.example:h1;iqn.2026-11.org.example:h2",
        "nonsense",
        "",
    ],
    "wwn": ["1000000000000000"],
    "hotspare": ["true", "false", "7"],
    "count": ["0", "2"],
    "type": ["roundrobin", "failover", "magic"],
    "paths": ["0-primary", "0-1"],
}
NUMBERS = ["0", "1", "2", "5", "99", "-1", ""]
OPERANDS = [*NUMBERS, "0,1", "0-0", "1-1", "word", '"two words"']


def lines(form: Form) -> st.SearchStrategy[str]:
    """Lines of that form, right and wrong."""
    words = st.tuples(*(st.sampled_from(options(place)) for place in form.words)).map(" ".join)
    parameters = st.tuples(*map(_parameter, form.parameters)).map(" ".join)
    flags = st.sampled_from(["", *(word for word in form.bare_words if word != "uninstall")])
    operand = st.sampled_from(["", *OPERANDS]) if form.operand else st.just("")
    return st.tuples(words, flags, operand, parameters).map(" ".join)


def _parameter(parameter: Parameter) -> st.SearchStrategy[str]:
    """A parameter, or nothing in its place: seldom where it is required, and often where it is not."""
    texts = [f"{parameter.key}={text}" for text in VALUES.get(parameter.key, NUMBERS)]
    return st.sampled_from([*texts, ""] if parameter.required else [*texts, *[""] * (2 * len(texts))])


FORMS_OF_THE_ARRAY = [
    form for form in FORMS if form.name not in ON_THE_HOST and form.words[:2] != ("chap", "initiator")
]
SELECTS = [
    f"select {word} {number}" for word in ("lun", "target", "drive", "controller", "tportal") for number in (0, 1, 4)
]
OBJECTS = [
    "select subsystem 2",
    *["create lun simple size=4"] * 3,
    "create lun mirror size=8",
    *["create target name=t"] * 2,
]
LINES = st.one_of(*map(lines, FORMS_OF_THE_ARRAY))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(SELECTS), LINES), min_size=5, max_size=15))
def test_what_fails_changes_nothing(raid: Raid, script: list[tuple[str, str]]) -> None:
    """Every line is carried out or fails with one of DiskRAID's codes; what failed has changed nothing on the array."""
    session = Session(str(raid.array.socket), FORMS)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            for line in [*OBJECTS, *(line for pair in script for line in pair)]:
                before = raid.state()
                status = session.execute(line)
                assert status in (0, 4, 5), line
                if status:
                    assert raid.state() == before, f"{line} failed and changed something: {said.getvalue()}"
        finally:
            session.close()
