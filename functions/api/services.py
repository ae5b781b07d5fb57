"""The collaborators of the routes, built once per cold start. Tests pass their own."""

import os
import time
from dataclasses import dataclass, field
from functools import cached_property

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.aws.client import client
from easel.contract.settings import ApiSettings, ScheduleSettings
from easel.ledger.folders import Folders
from easel.ledger.gallery import Gallery
from easel.ledger.marks import Marks
from easel.ledger.people import People
from easel.runs.executions import Executions
from easel.runs.runs import Runs
from easel.runs.watched import WatchedExecutions
from easel.schedules.scheduler import Schedules
from easel.search.search import Search
from easel.services import Services
from functions.api.batch_schemas import BatchFailure, ListedBatch
from functions.api.directory import Directory
from functions.api.facts import Facts, Kept
from functions.api.links import (
    READ_SECONDS,
    UPLOAD_SECONDS,
    ImageLinks,
    Signer,
    SigningConfig,
    UploadLinks,
)


@dataclass(kw_only=True)
class KnownCosts:
    """The lines of a batch with their number of pictures, and what the finished ones have cost.

    Costs are in micro-dollars, or None if part of a cost is unknown.
    """

    pictures: dict[str, int]
    finished: dict[str, int | None] = field(default_factory=dict)


class ApiServices(Services):
    """The collaborators of the API."""

    @cached_property
    def api(self) -> ApiSettings:
        """Return the settings that only the API has."""
        return ApiSettings.read(self.environment)

    @cached_property
    def executions(self) -> Executions:
        """Return the executions of the run machine."""
        return WatchedExecutions(client("stepfunctions"), machine=self.api.state_machine)

    @cached_property
    def batch_executions(self) -> Executions:
        """Return the executions of the batch machine."""
        return WatchedExecutions(client("stepfunctions"), machine=self.api.batch_state_machine)

    @cached_property
    def runs(self) -> Runs:
        """Return the runs."""
        return Runs(self.executions, self.ledger)

    @cached_property
    def run_facts(self) -> Kept[Facts]:
        """Return the facts of executions of the run machine. The input of a run never changes."""
        return Kept(keeps_running=True)

    @cached_property
    def listed_batches(self) -> Kept[ListedBatch]:
        """Return the entries of batches that have ended."""
        return Kept(keeps_running=False)

    @cached_property
    def batch_costs(self) -> dict[str, KnownCosts]:
        """Return what is known of the costs of batches, by execution."""
        return {}

    @cached_property
    def line_failures(self) -> Kept[list[BatchFailure]]:
        """Return the failures of executions of lines that have ended."""
        return Kept(keeps_running=False)

    @cached_property
    def schedules(self) -> Schedules:
        """Return the schedules."""
        settings = ScheduleSettings.read(self.environment)
        return Schedules(client("scheduler"), settings, machine=self.api.state_machine)

    @cached_property
    def marks(self) -> Marks:
        """Return what people note about images."""
        return Marks(self.table)

    @cached_property
    def people(self) -> People:
        """Return the names of people."""
        return People(self.table)

    @cached_property
    def directory(self) -> Directory:
        """Return the users of the sign-in."""
        return Directory(client("cognito-idp"), pool=self.api.user_pool)

    @cached_property
    def folders(self) -> Folders:
        """Return the folders that hold images."""
        return Folders(self.table)

    @cached_property
    def gallery(self) -> Gallery:
        """Return the gallery."""
        return Gallery(self.table)

    @cached_property
    def search(self) -> Search:
        """Return the search of stored images."""
        return Search(self.table)

    @cached_property
    def image_links(self) -> ImageLinks:
        """Return the signer of image links."""
        return ImageLinks(self._signer(self.api.reader_role, "links", READ_SECONDS))

    @cached_property
    def upload_links(self) -> UploadLinks:
        """Return the signer of upload links."""
        return UploadLinks(self._signer(self.api.uploader_role, "uploads", UPLOAD_SECONDS))

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    @property
    def has_console(self) -> bool:
        """Return whether this is AWS, and not the local stack."""
        return self.api.local_sign_in_url is None

    def run_url(self, name: str) -> str:
        """Return the URL of a run."""
        return f"{self.api.page_url}runs/{name}"

    def batch_url(self, name: str) -> str:
        """Return the URL of a batch."""
        return f"{self.api.page_url}batches/{name}"

    def upload_url(self, upload_id: str) -> str:
        """Return the URL of an upload."""
        return f"{self.api.page_url}uploads/{upload_id}"

    def console_url(self, arn: str) -> str | None:
        """Return the URL of an execution's graph in the console, which the local stack lacks."""
        if not self.has_console:
            return None
        region = self.storage.region
        console = f"https://{region}.console.aws.amazon.com/states/home"
        return f"{console}?region={region}#/v2/executions/details/{arn}"

    def _signer(self, role: str, session: str, seconds: int) -> Signer:
        storage = self.storage
        signing = SigningConfig(
            role=role, session=session, bucket=storage.bucket, region=storage.region
        )
        return Signer(client("sts"), signing, seconds=seconds)


API_SERVICES = ApiServices(os.environ)


def services_of(router: APIGatewayHttpRouter) -> ApiServices:
    """Return the services that the handler passed to this call."""
    services: ApiServices = router.context["services"]
    return services
