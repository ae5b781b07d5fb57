"""No text has more tokens than its bound, which the upper bound of a price is made of."""

import bpe_openai
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from easel.request import models

ENCODINGS = [bpe_openai.get_encoding(name) for name in ("cl100k_base", "o200k_base")]
# Letters that no vocabulary joins, a row of which made a batch cost more than its estimate.
HOSTILE = st.text(alphabet="gkqxzjvw", max_size=200)
TEXTS = st.one_of(st.text(max_size=200), HOSTILE, st.text(alphabet="🏴󠁧‍é\u0e33नि\n ", max_size=100))


def tokens(text: str) -> int:
    return max(len(encoding.encode_ordinary(text)) for encoding in ENCODINGS)


@settings(max_examples=300, deadline=None)
@example("gkq" * 50)
@example("\x00\uffff" * 20)
@example(" " * 500)
@given(TEXTS)
def test_no_text_has_more_tokens_than_its_bound(text: str) -> None:
    assert tokens(text) <= models.max_tokens(text)


def test_bound_is_reached_by_chosen_letters() -> None:
    assert tokens("gkq" * 50) == models.max_tokens("gkq" * 50)


@pytest.mark.parametrize("economy", [False, True])
def test_hostile_prompt_costs_no_more_than_its_estimate(economy: bool) -> None:
    prompt = "gkq" * 400
    bound = models.estimate_image(
        "gpt-image-2", prompt=prompt, size="1024x1024", quality="low", economy=economy
    )
    usage = {"input_tokens": tokens(prompt), "output_tokens": 196}
    assert (models.image_cost("gpt-image-2", usage, economy=economy) or 0) <= (bound or 0)
