"""The names of the people who use the API, by their id. Spending and budgets are listed by them."""

from collections.abc import Callable
from dataclasses import dataclass

from easel.aws.table import Table
from easel.contract import naming
from easel.contract.errors import ConflictError

PEOPLE = "people"


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person or a program. `name` is a mail address, or "a program"."""

    id: str
    name: str


class People:
    """Everybody who has signed in, or has a budget. A name stays when a user is removed."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def all(self) -> list[Person]:
        """Return all people, sorted by name."""
        items = self._table.query(PEOPLE)
        people = [Person(id=item["sk"], name=item["name"]) for item in items]
        return sorted(people, key=lambda person: person.name)

    def find(self, person_id: str) -> Person | None:
        """Return a person, or None if their name is not known."""
        item = self._table.get(PEOPLE, person_id)
        return Person(id=person_id, name=item["name"]) if item else None

    def look_up(self, value: str, subject_of: Callable[[str], str | None]) -> Person | None:
        """Return the person with this id or mail address, or None.

        `subject_of` finds the subject of a mail address in the user pool. It comes first: somebody
        who was removed and added again has another id. Raises ConflictError for a name that several
        people or programs have.
        """
        people = self.all()
        known = [person for person in people if person.id == value]
        subject = None if known else subject_of(value)
        if subject is not None:
            person = Person(id=naming.hash_subject(subject), name=value)
            self.note(person)
            return person
        known = known or [person for person in people if person.name == value]
        if len(known) > 1:
            ids = ", ".join(person.id for person in known)
            raise ConflictError(f"{value!a} is the name of several ({ids}); give the id of one")
        return known[0] if known else None

    def note(self, person: Person) -> None:
        """Record a person's name."""
        item = {"pk": PEOPLE, "sk": person.id, "name": person.name}
        self._table.write(self._table.put(item))
