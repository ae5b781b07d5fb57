"""Spending: what a month cost, by day, folder, tag, person, model or trigger."""

import re
from dataclasses import replace
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.errors import InputError
from easel.contract.money import dollars
from easel.ledger.budget import month_of
from easel.ledger.report import BY, Only, SpendingReport, report, to_csv
from functions.api import money_schemas as schemas
from functions.api.caller import check_parameters
from functions.api.services import services_of

router = APIGatewayHttpRouter()
MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
Value = Annotated[str | None, Query(min_length=1, max_length=1024)]


@router.get("/spending")
def show_spending(  # noqa: PLR0913, PLR0917 - the parameters of the route
    month: Annotated[
        str | None, Query(description="such as 2026-11; this month by default")
    ] = None,
    by: Annotated[schemas.By, Query()] = "folder",
    day: Value = None,
    folder: Value = None,
    tag: Value = None,
    person: Value = None,
    model: Value = None,
    trigger: Value = None,
    format: Annotated[Literal["json", "csv"], Query()] = "json",  # noqa: A002 - the parameter
) -> Response[schemas.Spending | str]:
    """Return what was spent in a month, added up by one attribute.

    The other attributes are filters: `by=folder&tag=spring` shows what a campaign cost in each
    folder. The rows add up to the month's spent budget, to the micro-dollar, except for tags.
    """
    services = services_of(router)
    check_parameters(router.current_event, "month", "by", "format", *BY)
    shown_month = month or month_of(services.now())
    if not MONTH.fullmatch(shown_month):
        raise InputError("month", shown_month, "a month from 2000-01 to 2099-12, such as 2026-11")
    only = Only(day=day, folder=folder, tag=tag, person=person, model=model, trigger=trigger)
    spending_report = report(services.charges.of(shown_month), by=by, only=only)
    people = services.people.all() if by == "person" else []
    names = {each.id: each.name for each in people}
    spent = services.ledger.budget.peek(shown_month).spent
    if format == "csv":
        return Response(
            status_code=200,
            content_type="text/csv; charset=utf-8",
            body=to_csv(
                spending_report,
                month=shown_month,
                names=names,
                unattributed=0 if only.is_set else spent - spending_report.total_micro_usd,
            ),
            headers={"Content-Disposition": f'attachment; filename="easel-{shown_month}-{by}.csv"'},
        )
    shown = _show(shown_month, spending_report, names, spent=spent)
    if only.is_set:
        shown = replace(shown, unattributed_usd=0.0)
    return Response(status_code=200, content_type="application/json", body=shown)


def _show(
    month: str, spending_report: SpendingReport, names: dict[str, str], *, spent: int
) -> schemas.Spending:
    return schemas.Spending(
        month=month,
        by=spending_report.by,
        rows=[
            schemas.SpendingRow(
                value=row.value,
                name=names.get(row.value or ""),
                usd=dollars(row.micro_usd),
                micro_usd=row.micro_usd,
                charges=row.charges,
            )
            for row in spending_report.rows
        ],
        total_usd=dollars(spending_report.total_micro_usd),
        total_micro_usd=spending_report.total_micro_usd,
        spent_usd=dollars(spent),
        unattributed_usd=dollars(spent - spending_report.total_micro_usd),
    )
