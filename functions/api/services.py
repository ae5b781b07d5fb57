"""What the routes talk to. Made once per cold start; tests hand in another one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions.adapters.batches import Batches
from functions.adapters.budget import Budget
from functions.adapters.executions import Executions, batch_executions, executions
from functions.adapters.gallery import Gallery
from functions.adapters.links import Links, links
from functions.adapters.map_runs import MapRuns, map_runs
from functions.adapters.records import Records
from functions.adapters.table import table
from functions.adapters.uploads import Uploads, uploads
from functions.settings import ApiSettings, Settings, api_settings, settings


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Settings, clock and adapters of the API."""

    settings: Settings
    api: ApiSettings
    executions: Executions
    batch_executions: Executions
    map_runs: MapRuns
    batches: Batches
    uploads: Uploads
    book: Records
    budget: Budget
    gallery: Gallery
    links: Links
    now: Callable[[], datetime]

    def run_url(self, name: str) -> str:
        """Where a run is told."""
        return f"{self.api.page_url}runs/{name}"

    def batch_url(self, name: str) -> str:
        """Where a batch is told."""
        return f"{self.api.page_url}batches/{name}"

    def console_graph(self, arn: str) -> str:
        """The graph of any execution in the Step Functions console."""
        region = self.settings.region
        return f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{arn}"


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
        batch_executions=batch_executions(),
        map_runs=map_runs(),
        batches=Batches(table()),
        uploads=uploads(),
        book=Records(table(), budget),
        budget=budget,
        gallery=Gallery(table()),
        links=links(),
        now=lambda: datetime.now(UTC),
    )


def usd(micro: int | None) -> float | None:
    """Micro-dollars in dollars."""
    return None if micro is None else micro / 1_000_000
