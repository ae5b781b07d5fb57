"""Spending, budgets and people, as the API shows them."""

import csv
import hashlib
import io
from dataclasses import replace
from typing import Any

import pytest

from easel.ledger.attribution import Attribution
from easel.ledger.people import Person
from easel.ledger.records import ChatRecord
from tests.support.api import Answer, Api
from tests.support.services import CAP

ADMIN = "easel/read easel/write easel/admin"
ANNA = hashlib.sha256(b"anna").hexdigest()[:8]
ADS = Attribution(folder="ads", person=ANNA, trigger="page", model="m", tags=("spring", "sale"))
# What was spent in this test, in micro-dollars.
SPENT = (
    (ADS, 1_000),
    (replace(ADS, tags=()), 200),
    (replace(ADS, folder="ads/tv", person=None, trigger="schedule"), 30),
    (replace(ADS, folder="=cmd", model="n", tags=("spring",)), 4),
)


class FakeDirectory:
    """A user pool with one user."""

    def name_of(self, subject: str) -> str | None:
        return {"anna": "anna@example.org"}.get(subject)

    def subject_of(self, email: str) -> str | None:
        return {"anna@example.org": "anna"}.get(email)


@pytest.fixture
def money(api: Api) -> Api:
    """Return the API of a deployment that has spent in November, all of it on the 24th."""
    api.services.directory = FakeDirectory()  # type: ignore[assignment]
    for number, (attribution, micro_usd) in enumerate(SPENT):
        call = ChatRecord(
            run_id=f"run-{number}",
            purchase=1,
            lease_until=1,
            month="2026-11",
            reserved_micro_usd=micro_usd,
            attribution=attribution,
        )
        api.services.ledger.claims.take(call, after=None)
        api.services.ledger.claims.mark_unknown(call)
    return api


def put(api: Api, body: Any, **more: Any) -> Answer:
    claims = {"cognito:groups": "[easel-look easel-administer]"}
    return api("PUT", "/budgets", body, scope=ADMIN, claims=claims, **more)


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        ("folder", [("ads", 1_200), ("ads/tv", 30), ("=cmd", 4)]),
        ("tag", [("spring", 1_034), ("sale", 1_030), (None, 200)]),
        ("person", [(ANNA, 1_204), (None, 30)]),
        ("model", [("m", 1_230), ("n", 4)]),
        ("trigger", [("page", 1_204), ("schedule", 30)]),
    ],
)
def test_spending_by_each_attribute(money: Api, by: str, rows: list[tuple[str, int]]) -> None:
    answer = money("GET", "/spending", query={"by": by}).json

    assert [(row["value"], row["micro_usd"]) for row in answer["rows"]] == rows
    assert answer["total_micro_usd"] == 1_234
    assert (answer["spent_usd"], answer["unattributed_usd"]) == (0.001234, 0.0)


def test_spending_is_filtered_by_the_other_attributes(money: Api) -> None:
    query = {"by": "folder", "tag": "spring", "person": ANNA}
    answer = money("GET", "/spending", query=query).json

    rows = [(row["value"], row["micro_usd"]) for row in answer["rows"]]
    assert rows == [("ads", 1_000), ("=cmd", 4)]
    assert (answer["total_usd"], answer["unattributed_usd"]) == (0.001004, 0.0)


def test_folded_charges_change_no_report(money: Api) -> None:
    before = money("GET", "/spending", query={"by": "day"}).json
    money.services.charges.fold(money.table.query("charges#2026-11")[:3])

    assert money("GET", "/spending", query={"by": "day"}).json == before
    assert before["total_micro_usd"] == money.services.ledger.budget.read("2026-11").spent


def test_csv_has_exact_dollars_and_no_formula(money: Api) -> None:
    answer = money("GET", "/spending", query={"by": "folder", "format": "csv"})

    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["month", "by", "value", "name", "usd", "charges"]
    assert rows[1] == ["2026-11", "folder", "ads", "", "0.001200", "2"]
    assert rows[3] == ["2026-11", "folder", "'=cmd", "", "0.000004", "1"]
    assert answer.headers["content-type"].startswith("text/csv")
    assert "easel-2026-11-folder.csv" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    "query", [{"month": "2026-13"}, {"by": "colour"}, {"format": "xls"}, {"tags": "x"}]
)
def test_wrong_report_is_refused(money: Api, query: dict[str, str]) -> None:
    answer = money("GET", "/spending", query=query)
    assert (answer.status, answer.json["field"]) == (400, *query)


def test_spending_before_attributions_is_named(money: Api) -> None:
    old = ChatRecord(
        run_id="old", purchase=1, lease_until=1, month="2026-11", reserved_micro_usd=50
    )
    money.services.ledger.claims.take(old, after=None)
    money.services.ledger.claims.mark_unknown(old)

    answer = money("GET", "/spending").json
    assert (answer["spent_usd"], answer["unattributed_usd"]) == (0.001284, 0.00005)
    text = money("GET", "/spending", query={"format": "csv"}).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[-1]["value"] == "(unattributed)"
    assert sum(float(row["usd"]) for row in rows) == pytest.approx(0.001284)


def test_budgets_of_month_people_and_folders(money: Api) -> None:
    assert put(money, {"usd": 0.5}).json["month"]["cap_usd"] == 0.5
    put(money, {"usd": 0.001, "person": "anna@example.org"})
    answer = put(money, {"usd": 3, "folder": "ads"})

    scopes = {(each["kind"], each["value"]): each for each in answer.json["scopes"]}
    assert scopes["person", ANNA] == {
        "kind": "person",
        "value": ANNA,
        "name": "anna@example.org",
        "cap_usd": 0.001,
        "spent_usd": 0.001204,
        "reserved_usd": 0.0,
        "left_usd": 0.0,
    }
    assert scopes["folder", "ads"]["spent_usd"] == 0.00123  # with ads/tv
    put(money, {"usd": None, "folder": "ads"})
    values = [each["value"] for each in money("GET", "/budgets").json["scopes"]]
    assert values == [ANNA]


def test_estimate_knows_the_budgets_of_caller_and_folder(money: Api) -> None:
    assert money("POST", "/estimate", {"prompt": "x"}).json["fits"]
    put(money, {"usd": 0, "person": "anna@example.org", "folder": None})
    assert not money("POST", "/estimate", {"prompt": "x"}).json["fits"]
    assert money("POST", "/estimate", {"prompt": "x"}, sub="ben").json["fits"]
    put(money, {"usd": 0.000001, "folder": "my_s3_folder"})
    assert not money("POST", "/estimate", {"prompt": "x"}, sub="ben").json["fits"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "usd"),
        ({"usd": "5"}, 400, "usd"),
        ({"usd": -1}, 400, "usd"),
        ({"usd": 1e-9}, 400, "usd"),
        ({"usd": None}, 400, "usd"),
        ({"usd": 5, "folder": "a//b"}, 400, "folder"),
        ({"usd": 5, "folder": "1/2/3/4/5/6"}, 400, "folder"),
        ({"usd": 5, "folder": "a", "person": ANNA}, 400, "person"),
        ({"usd": 5, "person": ["x"]}, 400, "person"),
        ({"usd": 5, "person": "nobody@example.org"}, 404, None),
        ({"usd": 5, "person": "0a0a0a0a"}, 404, None),
        ({"usd": 5, "colour": "red"}, 400, "colour"),
    ],
)
def test_wrong_budget_is_refused(money: Api, body: Any, status: int, field: str | None) -> None:
    answer = put(money, body)

    assert (answer.status, answer.json.get("field")) == (status, field)
    assert money("GET", "/budgets").json["month"]["cap_usd"] == CAP / 1_000_000
    assert not any(each["cap_usd"] for each in money("GET", "/budgets").json["scopes"])


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({}, "make"),
        ({"cognito:groups": "[easel-look]"}, "look"),
        ({"cognito:groups": "[other easel-administer]"}, "administer"),
        ({"client_id": "anna", "scope": "easel/read"}, "look"),
        ({"client_id": "anna", "scope": ADMIN}, "administer"),
    ],
)
def test_me_names_person_and_role(money: Api, claims: dict[str, str], role: str) -> None:
    answer = money("GET", "/me", claims=claims).json

    assert (answer["person"], answer["role"], answer["budget"]) == (ANNA, role, None)
    assert answer["name"] == ("a program" if "client_id" in claims else "anna@example.org")
    assert money("GET", "/people").json["people"] == [{"id": ANNA, "name": answer["name"]}]


def test_person_who_was_added_again_gets_the_budget(money: Api) -> None:
    money.services.people.note(Person(id="0a0a0a0a", name="anna@example.org"))
    answer = put(money, {"usd": 1, "person": "anna@example.org"}).json
    limits = {each["value"]: each["cap_usd"] for each in answer["scopes"]}
    assert (limits[ANNA], limits.get("0a0a0a0a")) == (1.0, None)


def test_name_of_two_programs_is_ambiguous(money: Api) -> None:
    for person in ("0a0a0a0a", "0b0b0b0b"):
        money.services.people.note(Person(id=person, name="a program"))

    refused = put(money, {"usd": 1, "person": "a program"})
    assert (refused.status, "0a0a0a0a, 0b0b0b0b" in refused.json["detail"]) == (409, True)
    assert put(money, {"usd": 1, "person": "0b0b0b0b"}).status == 200


def test_me_shows_a_budget_of_zero(money: Api) -> None:
    put(money, {"usd": 0, "person": "anna@example.org"})
    assert money("GET", "/me").json["budget"]["cap_usd"] == 0


def test_unknown_subject_has_no_name(money: Api) -> None:
    assert money("GET", "/me", sub="stranger").json["name"] is None
    assert money("GET", "/people").json["people"] == []


@pytest.mark.parametrize(
    ("group", "status"), [("easel-look", 403), ("easel-make", 202), ("easel-administer", 202)]
)
def test_who_may_only_look_starts_nothing(api: Api, group: str, status: int) -> None:
    claims = {"cognito:groups": f"[{group}]"}
    answer = api.run({"topic": "Sport"}, claims=claims)

    assert answer.status == status
    assert len(api.executions()) == (0 if status == 403 else 1)
    if status == 403:
        assert "your role is 'look'; this needs the role 'make'" in answer.json["detail"]
    assert api("GET", "/runs", claims=claims).status == 200


@pytest.mark.parametrize("group", ["easel-look", "easel-make", "other"])
def test_only_administrators_change_budgets(api: Api, group: str) -> None:
    claims = {"cognito:groups": f"[{group}]"}
    answer = api("PUT", "/budgets", {"usd": 5}, scope=ADMIN, claims=claims)

    assert (answer.status, answer.json["error"]) == (403, "NotAllowedError")
    assert api.services.ledger.budget.peek("2026-11").cap == CAP
