"""Links expire at their stated time, and never outlive the credentials that sign them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from functions.api.links import MAX_LINK_SECONDS, READ_SECONDS, ImageLinks, Signer, SigningConfig
from tests.support.services import BUCKET, REGION


class Sessions:
    """A fake STS that counts the sessions it issues, each of this length."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self.clock, self.seconds, self.count = clock, seconds, 0

    def assume_role(self, **parameters: Any) -> Any:
        assert parameters["DurationSeconds"] == 3600
        self.count += 1
        ends = datetime.fromtimestamp(self.clock[0], UTC) + timedelta(seconds=self.seconds)
        return {
            "Credentials": {
                "AccessKeyId": f"A{self.count}",
                "SecretAccessKey": "s",
                "SessionToken": "t",
                "Expiration": ends,
            }
        }


def image_links(
    sts: Sessions, *, bucket: str = BUCKET, region: str = REGION, **how: Any
) -> ImageLinks:
    signing = SigningConfig(role="reader", session="links", bucket=bucket, region=region)
    return ImageLinks(Signer(sts, signing, **{"seconds": READ_SECONDS} | how))


def make_links(
    *, session: float = 3600, seconds: int = 1800
) -> tuple[ImageLinks, Sessions, list[float]]:
    clock = [1_800_000_000.0]
    sts = Sessions(clock, session)
    return image_links(sts, seconds=seconds, clock=lambda: clock[0]), sts, clock


def lifetime(link: str) -> int:
    return int(parse_qs(urlsplit(link).query)["X-Amz-Expires"][0])


def test_session_is_reused_until_links_would_outlive_it() -> None:
    links, sts, clock = make_links()
    for minutes in (0, 10, 29):
        clock[0] = 1_800_000_000 + 60 * minutes
        assert lifetime(links.of("a/b.png").picture) == 1800
    assert sts.count == 1

    clock[0] += 120
    assert lifetime(links.of("a/b.png").picture) == 1800
    assert sts.count == 2


@pytest.mark.parametrize(
    ("session", "seconds", "expected"),
    [(600, 1800, 600), (3600, 1800, 1800), (3600, 10 * MAX_LINK_SECONDS, 3600)],
)
def test_link_ends_with_its_session(session: float, seconds: int, expected: int) -> None:
    links, _, clock = make_links(session=session, seconds=seconds)
    signed = links.of("a/b.png")

    assert (
        lifetime(signed.picture)
        == lifetime(signed.thumbnail)
        == lifetime(signed.download)
        == expected
    )
    assert signed.expires_at.timestamp() == clock[0] + expected
    assert expected <= MAX_LINK_SECONDS


@pytest.mark.parametrize(
    ("bucket", "region", "origin"),
    [
        ("pictures", "ap-southeast-1", "https://pictures.s3.ap-southeast-1.amazonaws.com"),
        ("pictures", "us-east-1", "https://pictures.s3.us-east-1.amazonaws.com"),
    ],
)
def test_links_use_the_region_of_the_bucket(bucket: str, region: str, origin: str) -> None:
    links = image_links(Sessions([0.0], 3600), bucket=bucket, region=region)
    assert links.origin == origin
    assert links.of("a/b.png").picture.startswith(f"{origin}/a/b.png?")


def test_file_name_cannot_inject_a_header() -> None:
    links = image_links(Sessions([0.0], 3600))
    (disposition,) = parse_qs(urlsplit(links.of('a/ü"; x=1\r\nSet-Cookie: y.png').download).query)[
        "response-content-disposition"
    ]
    assert (
        disposition
        == "attachment; filename*=UTF-8''%C3%BC%22%3B%20x%3D1%0D%0ASet-Cookie%3A%20y.png"
    )
