"""The drawings of the state machines in the docs match the template."""

import pytest

from infra import ROOT
from infra.workflows.state_graph import PLACES, insert_diagram, machine_of, mermaid
from tests.support.template import Template


@pytest.mark.parametrize("construct", PLACES)
def test_drawing_matches_the_deployed_machine(template: Template, construct: str) -> None:
    diagram = mermaid(machine_of(template.body, construct))
    assert diagram in (ROOT / PLACES[construct]).read_text(), "run make graphs"


@pytest.mark.parametrize("construct", PLACES)
def test_drawing_has_every_state_and_transition(template: Template, construct: str) -> None:
    diagram = mermaid(machine_of(template.body, construct))
    states = template.tasks(construct)

    assert not [name for name in states if name not in diagram]
    assert diagram.count("[*] -->") == diagram.count('state "') + 1
    assert "Catch" not in diagram


def test_page_without_marks_is_reported() -> None:
    with pytest.raises(ValueError, match="no marks"):
        insert_diagram("no marks here", "Workflow", "drawing")


def test_new_drawing_replaces_the_old_one() -> None:
    page = "before\n<!-- Workflow -->\nold\n<!-- end of Workflow -->\nafter\n"
    assert insert_diagram(page, "Workflow", "new") == page.replace("old", "new")
