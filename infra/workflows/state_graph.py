"""Draws the state machines as Mermaid diagrams, from their definition in the template.

`python -m infra.workflows.state_graph` writes them into the docs. A test compares the docs with the
template.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra import ROOT

# Each machine, by the name of its construct, is drawn between two marks in this page.
PLACES = {"Workflow": "docs/architecture.md", "BatchWorkflow": "docs/architecture.md"}
State = dict[str, Any]


def mermaid(machine: State) -> str:
    """Return a machine's definition as a diagram, without retries."""
    return "\n".join(
        ["```mermaid", "stateDiagram-v2", *(f"    {line}" for line in _draw(machine)), "```"]
    )


def _draw(machine: State) -> Iterator[str]:
    yield f"[*] --> {_id(machine['StartAt'])}"
    for name, state in machine["States"].items():
        if state["Type"] == "Map":
            yield f'state "{name}" as {_id(name)} {{'
            yield from (f"    {line}" for line in _draw(state["ItemProcessor"]))
            yield "}"
        else:
            yield f"{_id(name)}: {name}"
        for target, case in _transitions(state):
            yield f"{_id(name)} --> {_id(target) if target else '[*]'}{f': {case}' if case else ''}"


def _transitions(state: State) -> Iterator[tuple[str | None, str | None]]:
    """Yield each next state (None: the end) with its condition."""
    for choice in state.get("Choices", []):
        yield choice["Next"], _condition(choice["Condition"])
    if "Default" in state:
        yield state["Default"], "otherwise" if state["Type"] == "Choice" else None
    if "Next" in state:
        yield state["Next"], None
    if state.get("End") or state["Type"] in ("Succeed", "Fail"):
        yield None, None
    for catch in state.get("Catch", []):
        yield catch["Next"], ", ".join(catch["ErrorEquals"])


def _condition(jsonata: str) -> str:
    # A colon would end the label in Mermaid.
    return (
        jsonata.removeprefix("{%")
        .removesuffix("%}")
        .strip()
        .replace("$states.input.", "")
        .replace(":", " ")
    )


def _id(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")


def machine_of(template: State, construct: str) -> State:
    """Return the definition of a construct's machine. References are replaced by a word."""
    (definition,) = (
        resource["Properties"]["DefinitionString"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::StepFunctions::StateMachine" and name.startswith(construct)
    )
    parts = definition["Fn::Join"][1]
    machine: State = json.loads(
        "".join(part if isinstance(part, str) else "reference" for part in parts)
    )
    return machine


def insert_diagram(page: str, construct: str, diagram: str) -> str:
    """Return a page with the diagram between its marks."""
    begin, end = f"<!-- {construct} -->\n", f"\n<!-- end of {construct} -->"
    before, mark, rest = page.partition(begin)
    if not mark or end not in rest:
        raise ValueError(f"the page has no marks {begin.strip()} and {end.strip()}")
    return before + begin + diagram + end + rest.partition(end)[2]


def main() -> None:
    """Draw the machines of the template in cdk.out."""
    template = json.loads((ROOT / "cdk.out" / "Easel.template.json").read_text())
    for construct, file in PLACES.items():
        page = Path(ROOT / file)
        page.write_text(
            insert_diagram(page.read_text(), construct, mermaid(machine_of(template, construct)))
        )
        print(f"{construct} in {file}")


if __name__ == "__main__":
    main()
