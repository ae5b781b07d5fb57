"""Tags of people."""

import pytest

from easel.contract.errors import InputError
from easel.request.tags import check_tag, distinct


@pytest.mark.parametrize(
    ("value", "tag"),
    [("spring", "spring"), ("  R&D   2027 ", "R&D 2027"), ("Cafe\u0301", "Café"), ("日本", "日本")],
)
def test_tag_is_kept_in_its_normal_form(value: str, tag: str) -> None:
    assert check_tag("tag", value) == tag


@pytest.mark.parametrize(
    "value", ["", " ", "<b>x</b>", "a,b", 'a"b', "a\\b", "x" * 51, "a\x07b", 7]
)
def test_wrong_tag_names_its_field(value: object) -> None:
    with pytest.raises(InputError, match=r"^tags is .*allowed: 1 to 50 characters"):
        check_tag("tags", value)


def test_tags_that_differ_in_case_are_one() -> None:
    assert distinct(["Spring", "ads", "SPRING", "new", "New"]) == ("Spring", "ads", "new")
