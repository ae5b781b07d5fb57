"""Keeps the search's index and the sums of spending in step with the table, from its stream.

A job has the records of the keys that begin with its prefix. A batch of records with a failed job
is sent again as a whole, so jobs may run twice. When the stack is deployed, CloudFormation calls
the function as well: images from before the search get their documents.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.aws.custom_resource import answer
from easel.aws.lambda_runtime import prepare
from easel.aws.observability import log_result, step
from easel.aws.table import plain
from easel.ledger.charges import PREFIX, Charges
from easel.search.indexing import REBUILD, Indexing, Rebuild, RebuildStep
from easel.services import SERVICES, Services
from functions.index.images import changed_images

Records = Sequence[Mapping[str, Any]]


class IndexServices:
    """The collaborators of this function."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @cached_property
    def indexing(self) -> Indexing:
        """Return the writer of documents."""
        return Indexing(self._services.table)

    @property
    def charges(self) -> Charges:
        """Return the charges and their sums."""
        return self._services.charges

    @cached_property
    def rebuild(self) -> Rebuild:
        """Return the rebuild of all documents."""
        return Rebuild(self._services.table, self.indexing)


INDEX_SERVICES = IndexServices(SERVICES)


@step("index")
def handler(event: Any, _context: LambdaContext) -> dict[str, Any]:
    """Take records of the table's stream, or the event of a deployment."""
    return run(event, INDEX_SERVICES)


def run(event: dict[str, Any], services: IndexServices) -> dict[str, Any]:
    """Do each job with its records, or start a rebuild."""
    if "RequestType" in event:
        answer(event, lambda: _begin(event, services), physical_id="search")
        return {}
    results: dict[str, int] = {}
    for prefix, job in JOBS.items():
        records = [record for record in event["Records"] if _key(record).startswith(prefix)]
        if records:
            results |= job(records, services)
    log_result("index updated", **results)
    return results


def update_documents(records: Records, services: IndexServices) -> dict[str, int]:
    """Update the documents of changed images."""
    positions = set(changed_images(records))
    if positions:
        services.indexing.refresh(positions)
    return {"images": len(positions)}


def rebuild_documents(records: Records, services: IndexServices) -> dict[str, int]:
    """Do the next step of a rebuild. Its change of the state is the event of the following one."""
    steps = [RebuildStep.of_item(plain(record["dynamodb"]["NewImage"])) for record in records]
    return {"rebuilt": sum(services.rebuild.advance(known) for known in steps)}


def fold_charges(records: Records, services: IndexServices) -> dict[str, int]:
    """Add new charges to the sums of their month."""
    charges = [plain(record["dynamodb"]["NewImage"]) for record in records]
    return {"charges": services.charges.fold(charges)}


# A job, by the beginning of its records' partition keys.
JOBS: dict[str, Callable[[Records, IndexServices], dict[str, int]]] = {
    "run#": update_documents,
    REBUILD[0]: rebuild_documents,
    PREFIX: fold_charges,
}


def _begin(event: Mapping[str, Any], services: IndexServices) -> dict[str, Any]:
    if event["RequestType"] != "Delete":
        services.rebuild.start()
    return {}


def _key(record: Mapping[str, Any]) -> str:
    return str(record["dynamodb"]["Keys"]["pk"]["S"])


prepare(lambda: INDEX_SERVICES.rebuild)
