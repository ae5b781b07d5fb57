"""How long a paid call may take, and what follows from it for the function that makes it.

A call that is given up too early may have been paid, so the limits are generous. A lease ends with
its call's limit and the time to keep the result, so a short limit makes a dead function's image
available sooner.
"""

from easel.request.sizes import parse

LONGEST_FUNCTION = 900  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
# The paid call leaves this much of the invocation for putting its bytes into staging.
STAGING_SECONDS = 30
# A function that waits is billed, and takes a place from the functions that have something to do: a
# new account runs ten at once. For longer waits the step fails, and Step Functions retries it.
TURN_SECONDS = 5
LEAST_CALL_SECONDS = 30  # with less, the call would time out before the image arrives
START_SECONDS = 30  # reading records, and writing the note about the purchase
AROUND_A_CALL = STAGING_SECONDS + TURN_SECONDS + START_SECONDS
LONGEST_IMAGE_CALL = LONGEST_FUNCTION - AROUND_A_CALL
# A prompt is asked for at most twice in one invocation.
PROMPT_MARGIN = 30
LONGEST_CHAT_CALL = (LONGEST_FUNCTION - PROMPT_MARGIN) // 2
# Users of OpenAI report up to two minutes for an image of 1024x1024 in medium quality, and more
# than five for a large one in high quality. These are about twice as much.
BY_QUALITY = {"low": 180, "medium": 240, "high": 390, "xhigh": 480, "max": 600}
STANDARD_PIXELS = 1536 * 1024


def image_seconds(quality: str, size: str, *, setting: int | None) -> int:
    """Return the limit of one image call. `setting` replaces the limit by quality and size."""
    if setting:
        return setting
    seconds = BY_QUALITY.get(quality, max(BY_QUALITY.values()))
    pixels = parse(size)
    is_large = pixels is not None and pixels.width * pixels.height > STANDARD_PIXELS
    return min(seconds * 2 if is_large else seconds, LONGEST_IMAGE_CALL)


def image_function_seconds(setting: int | None) -> int:
    """Return the timeout of the function that buys images."""
    return (setting or LONGEST_IMAGE_CALL) + AROUND_A_CALL


def prompt_function_seconds(setting: int) -> int:
    """Return the timeout of the function that writes prompts."""
    return 2 * setting + PROMPT_MARGIN
