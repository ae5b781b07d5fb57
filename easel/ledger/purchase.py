"""The life of a purchase: recover, claim, stage, settle, give up.

A purchase may die at any line and may run twice:

1. A note in staging proves bucket, permissions and key before anything is claimed or paid.
2. One transaction claims the call and reserves its upper bound under the month's cap.
3. The call is made once. Its bytes go to staging in the next statement.
4. Settling replaces the reservation with the cost.

If the function dies in between, it leaves a claim with a lease. The next attempt waits for the
lease to expire and looks into staging. If nothing is there, it counts the call as possibly paid and
buys once more.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import TypeVar

from easel.aws.bucket import Bucket
from easel.aws.lambda_runtime import Deadline
from easel.aws.observability import count, log_result, logger, spend
from easel.contract import metric_names, naming
from easel.contract.errors import (
    BadPromptError,
    ClaimHeldError,
    ContentRefusedError,
    EaselError,
    OutcomeUnknownError,
    StorageBusyError,
    TransientError,
)
from easel.contract.status import Status
from easel.ledger.attribution import Attribution
from easel.ledger.budget import month_of
from easel.ledger.claims import MAX_PURCHASES, check_purchases
from easel.ledger.ledger import Ledger
from easel.ledger.paid_image import PaidImage, StagedBytes, to_metadata, usage_in
from easel.ledger.rate_limit import RateLimit
from easel.ledger.records import ChatRecord, Claim, ImageRecord, PromptRecord
from easel.request.models import check_not_retired
from easel.request.time_limits import LEAST_CALL_SECONDS, STAGING_SECONDS, TURN_SECONDS

PUT_CONNECT_SECONDS, PUT_READ_SECONDS = 2, 5
# No put starts later than this. It may hang until its timeouts expire, and then the record must
# still be written.
LAST_SECONDS = 5 + PUT_CONNECT_SECONDS + PUT_READ_SECONDS
PAUSE_SECONDS = 0.5
C = TypeVar("C", bound=Claim)
T = TypeVar("T")


class Purchases:
    """Buys images and prompts, each with one claim per paid call.

    `bucket` is for staging. `deadline` is the end of the buying function.
    """

    def __init__(
        self,
        ledger: Ledger,
        bucket: Bucket,
        deadline: Deadline,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.ledger = ledger
        self.deadline = deadline
        self._bucket = bucket
        self._now = now

    def recover(self, image: ImageRecord, prompt: PromptRecord) -> ImageRecord:
        """Return an image after an earlier purchase: staged, or with its claim expired.

        Raises ClaimHeldError while the earlier function may be alive, and OutcomeUnknownError if no
        further purchase is allowed.
        """
        # Staging is checked first: if the bytes are there, there is no need to wait for the lease.
        staged = self._find_staged(image, image.purchase)
        if staged is None and image.status == Status.CLAIMED:
            image = self.ledger.claims.expire(image)
        for number in range(image.purchase - 1, 0, -1):
            staged = staged or self._find_staged(image, number)
        if staged is None:
            if image.status == Status.CLAIMED:
                check_purchases(image)
            return image
        return self.settle(image, prompt, staged)

    def recover_chat(self, chat: ChatRecord) -> ChatRecord:
        """Return an earlier chat call with its claim expired, to be repeated once.

        Raises ClaimHeldError while the earlier function may be alive, and BadPromptError or
        OutcomeUnknownError if no further call is allowed.
        """
        chat = self.ledger.claims.expire(chat)
        if chat.purchase >= MAX_PURCHASES and not chat.possibly_paid:
            raise BadPromptError(
                f"{chat.label}: the chat model has answered {chat.purchase} times without a prompt;"
                " start a new run with a shorter idea, or write the prompt yourself"
            )
        check_purchases(chat)
        return chat

    def buy(
        self,
        image: ImageRecord,
        prompt: PromptRecord,
        call: Callable[[float], PaidImage],
        *,
        seconds: int,
        rate_limit: RateLimit,
    ) -> ImageRecord:
        """Buy one image with one call of at most `seconds`. The call receives its own time limit.

        Raises ModelRetiredError, TransientError if too little time is left, QuotaExhaustedError if
        OpenAI refuses calls by rate for too long, and the call's errors.
        """
        self.check_model(prompt)
        self.require_seconds(LEAST_CALL_SECONDS + STAGING_SECONDS, image.label)
        self._put_note(image, prompt)
        left, whole = self.deadline.seconds(), seconds + STAGING_SECONDS
        patience = min(TURN_SECONDS, max(0, left - whole))
        # The name is unique per invocation: two invocations for this image must not end each
        # other's slot.
        name = f"{naming.image_id(image.run_id, image.n)}-{token_hex(4)}"
        until = self.deadline.within(patience + whole).epoch()
        with rate_limit.slot(name, until=until, patience=patience):
            # The lease ends long before the function does if the call is short, so a dead
            # function's image is soon available again. The bytes must be staged by then.
            lease = self.deadline.within(whole)
            claim = self.claim(
                image,
                bound=prompt.image_bound(),
                attribution=prompt.attribution,
                until=lease.epoch(),
            )
            try:
                paid = call(lease.seconds() - STAGING_SECONDS)
            except EaselError as error:
                self.give_up(claim, error)
                rate_limit.check_patience(error)
                raise
            staged = self._stage_only_copy(claim, paid, lease)
        image = self._settle_and_check(claim, prompt, staged, intact=paid.intact)
        log_result("picture bought", model=prompt.choices["model"], bytes=image.bytes)
        return image

    def claim(
        self, call: C, *, bound: int | None, attribution: Attribution, until: int | None = None
    ) -> C:
        """Claim a paid call and reserve its upper bound (micro-dollars), or do neither.

        `call` is its record, which is new or has an expired claim. The lease ends with this
        function, or at `until` (epoch seconds). Raises ClaimHeldError and BudgetExceededError.
        """
        lease, month = until or self.deadline.epoch(), month_of(self._now())
        claim = call.next_claim(until=lease, month=month, bound=bound, attribution=attribution)
        self.ledger.claims.take(claim, after=call if call.purchase else None)
        return claim

    def claim_new(
        self, images: Sequence[tuple[ImageRecord, PromptRecord]], *, until: int
    ) -> list[EaselError | None]:
        """Claim images of an order that were never claimed, many in one transaction.

        The leases end at `until` (epoch seconds). Return for each image None, or a ClaimHeldError
        or BudgetExceededError.
        """
        month = month_of(self._now())
        claims = [
            image.next_claim(
                until=until,
                month=month,
                bound=prompt.image_bound(economy=True),
                attribution=prompt.attribution,
            )
            for image, prompt in images
        ]
        return self.ledger.claims.take_many(claims)

    def renew(self, claim: ImageRecord, *, until: int, order_number: int) -> bool:
        """Extend an ordered image's claim to `until` (epoch seconds), with the new batch's number.

        Return False if the claim has changed.
        """
        return self.ledger.claims.renew(claim, until=until, order_number=order_number)

    def release(self, claim: Claim) -> None:
        """Undo an unpaid claim and its reservation."""
        self.ledger.claims.release(claim)

    def stage(self, claim: ImageRecord, prompt: PromptRecord, paid: PaidImage) -> ImageRecord:
        """Put a paid image into staging and settle its claim. Use this if OpenAI can resend it."""
        return self._settle_and_check(claim, prompt, self._put(claim, paid), intact=paid.intact)

    def write_only_copy(self, write: Callable[[], T]) -> T:
        """Write something paid that exists nowhere else, again while the storage is busy.

        Raises StorageBusyError at the deadline.
        """
        return _write_only_copy(write, self.deadline, retried=StorageBusyError)

    def settle(self, claim: ImageRecord, prompt: PromptRecord, staged: StagedBytes) -> ImageRecord:
        """End the claim of an image whose bytes are in staging, with its cost.

        Return the record. If another execution took the claim over, return that execution's record,
        or raise ClaimHeldError while it is buying the image.
        """
        cost = prompt.image_cost(staged.usage, economy=claim.order is not None)
        image = replace(
            claim,
            status=Status.STAGED,
            staged_key=staged.key,
            bytes=staged.bytes,
            sha256=staged.sha256,
            usage=staged.usage,
            cost_micro_usd=cost,
        )
        if self.ledger.mark_staged(claim, image):
            spend(cost)
            return image
        current = self.ledger.image(claim.run_id, claim.n)
        if current is None or current.status == Status.CLAIMED:
            raise ClaimHeldError(f"another execution has taken over {claim.label}")
        return current

    def give_up(self, claim: Claim, error: EaselError) -> None:
        """End a claim whose call failed.

        A refused image is marked, a call that may have been charged is counted, and any other
        claim is undone.
        """
        if claim.is_counted:
            return  # already counted as possibly paid
        if isinstance(error, ContentRefusedError) and isinstance(claim, ImageRecord):
            if self.ledger.mark_refused(claim, category=error.category):
                count(metric_names.REFUSED)
        elif error.possibly_paid:
            self.ledger.claims.mark_unknown(claim)
        else:
            self.ledger.claims.release(claim)

    def waste(self, claim: ChatRecord, *, cost: int | None) -> ChatRecord:
        """End a chat claim whose answer contains no prompt, so that it can be claimed once more.

        An unknown cost counts as the reserved amount, and the call as possibly paid.
        """
        if cost is None:
            self.ledger.claims.mark_unknown(claim)
            return replace(claim, lease_until=0, possibly_paid=claim.possibly_paid + 1)
        spend(cost)
        return self.ledger.claims.waste(claim, cost=cost)

    def check_model(self, prompt: PromptRecord) -> None:
        """Raise ModelRetiredError if the run's image model has been shut down."""
        check_not_retired(prompt.choices["model"], today=self._now().date())

    def require_seconds(self, needed: float, label: str) -> None:
        """Raise TransientError unless enough time is left for a paid call."""
        left = self.deadline.seconds()
        if left < needed:
            raise TransientError(
                f"{label}: only {left:.0f} s left, not enough for the call; the retry starts with a"
                " fresh timeout"
            )

    def _put_note(self, image: ImageRecord, prompt: PromptRecord) -> None:
        """Write the parameters of the purchase before it is paid, as a trace of what was bought."""
        number = image.purchase + 1
        note = json.dumps({"purchase": number} | prompt.image_call(), ensure_ascii=False).encode()
        key = naming.staged_call_key(image.run_id, image.n, number)
        self._bucket.put(key, note, content_type="application/json")

    def _put(self, claim: ImageRecord, paid: PaidImage) -> StagedBytes:
        key = naming.staged_key(claim.run_id, claim.n, claim.purchase)
        self._bucket.put(
            key,
            paid.data,
            content_type="application/octet-stream",
            metadata=to_metadata(paid),
            sha256=paid.sha256,
        )
        return StagedBytes(key=key, bytes=len(paid.data), sha256=paid.sha256, usage=paid.usage)

    def _stage_only_copy(self, claim: ImageRecord, paid: PaidImage, lease: Deadline) -> StagedBytes:
        """Put bytes that exist nowhere else. After any error, try again until the lease ends."""
        try:
            return _write_only_copy(lambda: self._put(claim, paid), lease, retried=EaselError)
        except EaselError as error:
            self.ledger.mark_lost(claim)
            count(metric_names.LOST)
            key = naming.staged_key(claim.run_id, claim.n, claim.purchase)
            logger.error("a paid image is lost", n=claim.n, key=key)
            raise OutcomeUnknownError(
                f"{claim.label} was paid for, but S3 did not accept it before the function's "
                f"deadline: {error}"
            ) from error

    def _settle_and_check(
        self, claim: ImageRecord, prompt: PromptRecord, staged: StagedBytes, *, intact: bool
    ) -> ImageRecord:
        image = self.settle(claim, prompt, staged)
        if intact or image.staged_key != staged.key:
            return image
        problem = (
            f"{claim.label}: the answer is not valid base64; it is kept as received at {staged.key}"
        )
        self.ledger.mark_bad(image, problem=problem)
        return self.ledger.image(claim.run_id, claim.n) or image

    def _find_staged(self, image: ImageRecord, number: int) -> StagedBytes | None:
        staged = self._bucket.head(naming.staged_key(image.run_id, image.n, number))
        if staged is None:
            return None
        sha256, usage = staged.metadata.get("sha256", ""), usage_in(staged.metadata)
        return StagedBytes(key=staged.key, bytes=staged.bytes, sha256=sha256, usage=usage)


def _write_only_copy(write: Callable[[], T], end: Deadline, *, retried: type[EaselError]) -> T:
    """Write something, again after a `retried` error, which is raised at the end."""
    while True:
        try:
            return write()
        except retried:
            if end.seconds() <= LAST_SECONDS:
                raise
        end.sleep(PAUSE_SECONDS)
