"""Made-up images for the benchmark of the search: their records, by number."""

import json
import random
from functools import cache
from itertools import accumulate

from easel.aws.table import Item

VOCABULARY, EXPONENT, PROMPT_WORDS, IDEA_WORDS = 30_000, 1.2, 110, 18


@cache
def vocabulary() -> tuple[list[str], list[float]]:
    """Return made-up words, and their cumulated frequencies by Zipf's law.

    The exponent is such that 128 prompts have about 3,700 distinct words. The same number of pieces
    of this project's docs have 2,200, and of the READMEs of all installed packages 3,300.
    """
    chance = random.Random(3)
    parts = [
        "ba",
        "cor",
        "del",
        "e",
        "fi",
        "gra",
        "hol",
        "in",
        "ka",
        "lu",
        "mo",
        "ner",
        "o",
        "pra",
        "qui",
        "ro",
        "sta",
        "ti",
        "ul",
        "ve",
        "wen",
        "xi",
        "yo",
        "zan",
        "th",
        "er",
        "s",
        "ing",
    ]
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        words["".join(chance.choices(parts, k=chance.choice((2, 2, 3, 3, 4))))] = None
    return list(words), list(accumulate((rank + 2.7) ** -EXPONENT for rank in range(VOCABULARY)))


def records(number: int) -> tuple[Item, Item]:
    """Return the records of one image and its prompt. The same number has the same records."""
    chance = random.Random(number)
    words, weights = vocabulary()
    prompt = chance.choices(words, cum_weights=weights, k=PROMPT_WORDS)
    prompt += ["dawn" if number % 2 else "dusk", *(["lake"] if number % 5 == 0 else [])]
    prompt += ["unique0"] if number == 0 else []
    chance.shuffle(prompt)
    idea = " ".join(chance.choices(words, cum_weights=weights, k=IDEA_WORDS))
    run_id = f"{chance.getrandbits(32):08x}-{number:07}-{chance.getrandbits(64):016x}"
    day, second = divmod(number, 2_000)
    stored_at = (
        f"{2026 + day // 336}-{1 + day % 336 // 28:02}-{1 + day % 28:02}T{second // 60 % 24:02}:"
    )
    image = {
        "pk": f"run#{run_id}",
        "sk": "image#1",
        "run_id": run_id,
        "n": 1,
        "status": "stored",
        "key": f"folder-{number % 20}/image_{run_id}_1.png",
        "folder": f"folder-{number % 20}",
        "topic": chance.choice(("Sport", "Science", "Health")),
        "title": " ".join(prompt[:5]),
        "alt_text": " ".join(prompt[:20]),
        "model": "gpt-image-2",
        "width": 1024,
        "height": 1024,
        "bytes": 1_500_000,
        "sha256": "ab" * 32,
        "cost_micro_usd": 13_290,
        "possibly_paid": 0,
        "stored_at": f"{stored_at}{second % 60:02}:00.{number:06}Z",
        "favourite": number % 50 == 0,
    }
    text = {
        "pk": f"run#{run_id}",
        "sk": "prompt",
        "run_id": run_id,
        "digest": "ab" * 32,
        "started": image["stored_at"],
        "text": " ".join(prompt),
        "title": image["title"],
        "alt_text": image["alt_text"],
        "tags": prompt[5:9],
        "topic": image["topic"],
        "choices": json.dumps({"style": None, "count": 1}),
        "execution": run_id,
        "request": json.dumps({"description": idea}),
        "person": f"{number % 30:08x}",
    }
    return image, text
