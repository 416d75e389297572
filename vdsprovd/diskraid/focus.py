"""What is selected, and which object has which number.

A number is the object's for as long as the list that gave it: LIST counts anew, what was created since then has the next
numbers, and the number of what was deleted names nothing. So a script that was written after a look at a list never
meets another object than the one that was seen.
"""

from collections.abc import Callable, Sequence

from vdsprovd.diskraid.kinds import KINDS, Kind, Object
from vdsprovd.diskraid.problems import NotSelected


class Focus:
    """The selected object of each kind, and the numbers."""

    def __init__(self, find: Callable[[Kind, str], list[Object]]) -> None:
        """`find` gives the objects of a kind inside of the object with an id."""
        self._find = find
        self._selected: dict[str, str] = {}
        self._numbers: dict[tuple[str, str], list[str | None]] = {}

    def get(self, word: str) -> str | None:
        """The id of the selected object of that kind, None where none is."""
        return self._selected.get(word)

    def require(self, word: str) -> str:
        """The id of the selected object of that kind; raises `NotSelected`."""
        id = self.get(word)
        if id is None:
            raise NotSelected(f"there is no selected {KINDS[word].noun}: use SELECT {word.upper()} first")
        return id

    def set(self, word: str, id: str) -> None:
        """Select an object of a kind, and nothing of the kinds that do not go with it."""
        self.clear(word)
        self._selected[word] = id

    def clear(self, word: str) -> None:
        """Have no object of that kind selected, nor of those that do not go with another one of it."""
        gone = {word, *KINDS[word].clears}
        # What is inside of what is not selected any more goes, too.
        gone |= {kind.word for kind in KINDS.values() if kind.inside in gone}
        for each in gone:
            self._selected.pop(each, None)

    def forget(self, id: str) -> None:
        """The object is deleted: it is not selected, and its number names nothing."""
        for word in [word for word, selected in self._selected.items() if selected == id]:
            self.clear(word)
        for numbered in self._numbers.values():
            for place, known in enumerate(numbered):
                if known == id:
                    numbered[place] = None

    def add(self, word: str, id: str) -> int:
        """Give a new object of that kind its number, and select it."""
        numbered = self._numbered(word)
        if id not in numbered:
            numbered.append(id)
        self.set(word, id)
        return numbered.index(id)

    def count(self, word: str, inside: str | None = None) -> Sequence[Object]:
        """The objects of that kind, counted anew: their numbers are their places. Known ones keep their order."""
        place = self._place(word) if inside is None else inside
        objects = self._find(KINDS[word], place)
        known = {id: number for number, id in enumerate(self._numbers.get((word, place), []))}
        objects.sort(key=lambda entry: known.get(entry["id"], len(known)))
        self._numbers[word, place] = [entry["id"] for entry in objects]
        return objects

    def at(self, word: str, number: int, inside: str | None = None) -> str:
        """The id of the object of that kind with that number; raises `NotSelected` where there is none.

        `inside` is the id of what it is inside of, where that is not what is selected.
        """
        numbered = self._numbered(word, inside)
        id = numbered[number] if number < len(numbered) else None
        if id is None:
            raise NotSelected(f"there is no {KINDS[word].title} {number}: LIST {KINDS[word].plural.upper()} shows them")
        return id

    def number(self, word: str, id: str, inside: str | None = None) -> int | None:
        """The number of an object of that kind, None where it has none."""
        numbered = self._numbered(word, inside)
        return numbered.index(id) if id in numbered else None

    def numbers(self, word: str) -> list[int]:
        """The numbers that objects of that kind have."""
        return [place for place, id in enumerate(self._numbered(word)) if id is not None]

    def _numbered(self, word: str, inside: str | None = None) -> list[str | None]:
        place = self._place(word) if inside is None else inside
        if (word, place) not in self._numbers:
            self.count(word, place)
        return self._numbers[word, place]

    def _place(self, word: str) -> str:
        """The id of what objects of that kind are inside of, "" for those that are in none."""
        inside = KINDS[word].inside
        return self.require(inside) if inside else ""
