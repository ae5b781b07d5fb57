"""What the routes talk to. Made once per cold start; tests hand in another one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions.adapters.budget import Budget
from functions.adapters.executions import Executions, executions
from functions.adapters.gallery import Gallery
from functions.adapters.links import Links, links
from functions.adapters.records import Records
from functions.adapters.table import table
from functions.settings import ApiSettings, Settings, api_settings, settings


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Settings, clock and adapters of the API."""

    settings: Settings
    api: ApiSettings
    executions: Executions
    book: Records
    budget: Budget
    gallery: Gallery
    links: Links
    now: Callable[[], datetime]

    def run_url(self, name: str) -> str:
        """Where a run is told."""
        return f"{self.api.page_url}runs/{name}"

    def console_url(self, name: str) -> str:
        """The graph of an execution in the Step Functions console."""
        region, arn = self.settings.region, self.api.state_machine.replace(":stateMachine:", ":execution:")
        return f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{arn}:{name}"


def given(router: APIGatewayHttpRouter) -> Outside:
    """That which the handler gave to this call."""
    outside: Outside = router.context["outside"]
    return outside


def deployed() -> Outside:
    """That of this deployment."""
    budget = Budget(table(), setting=settings().monthly_budget_micro_usd)
    return Outside(
        settings=settings(),
        api=api_settings(),
        executions=executions(),
        book=Records(table(), budget),
        budget=budget,
        gallery=Gallery(table()),
        links=links(),
        now=lambda: datetime.now(UTC),
    )


def usd(micro: int | None) -> float | None:
    """Micro-dollars in dollars."""
    return None if micro is None else micro / 1_000_000
