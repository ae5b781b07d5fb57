"""A chat model's answer is a prompt, or it is refused."""

import json

import pytest

from easel.request import models, prompt_text
from easel.request.prompt_answer import read_answer
from easel.request.prompt_text import PromptTexts

KITE = {"prompt": "A kite", "title": "Kite", "alt_text": "A red kite", "tags": ["kite"]}
OBJECT = json.dumps(KITE)


def prompt_in(text: str, *, cut: bool = False) -> str | None:
    texts = read_answer(text, cut=cut)
    return texts.prompt if texts else None


@pytest.mark.parametrize(
    "text",
    [
        OBJECT,
        f"Here is the JSON:\n{OBJECT}",
        f"```json\n{OBJECT}\n```",
        f"```json {OBJECT}```",
        f"```{OBJECT}```",
        f"~~~\n{OBJECT}\n~~~",
        f"Sure! Here it is:\n\n```json\n{OBJECT}\n```\n\nLet me know if you want changes.",
        f"<think>The user wants {{a kite}}.</think>{OBJECT}",
        f"<thinking>\nA [red] kite?\n</thinking>\n\n{OBJECT}",
        f"the user wants a kite\n</think>\n{OBJECT}",
        f"[THINK]a kite[/THINK]{OBJECT}",
        f"<seed:think>a kite</seed:think>{OBJECT}",
        f"<|channel|>analysis<|message|>a kite<|end|><|start|>assistant<|channel|>final<|message|>"
        f"{OBJECT}<|return|>",
        f"[{OBJECT}]",
        f'[{OBJECT}, {{"prompt": "A second kite"}}]',
        json.dumps(OBJECT),
        json.dumps({"result": KITE}),
        json.dumps({"output": [{"content": OBJECT}]}),
        json.dumps({"prompt": KITE}),
        json.dumps({"prompt": OBJECT}),
        json.dumps({"prompts": [], "image_prompt": "A kite"} | {"title": "Kite"}),
        json.dumps({"imagePrompt": "A kite", "negative_prompt": "blur"}),
        json.dumps({"prompt": ["A kite", "Another kite"]}),
        json.dumps({"prompt": {"text": "A kite", "tokens": 2}}),
        "{'prompt': 'A kite', 'tags': ['kite']}",
        '{"prompt": "A kite",\n"title": "Kite\n"}',
        f"{OBJECT}\n{OBJECT}",
        f"\ufeff{OBJECT}",
        f'<reason>Maybe {{"prompt": "a draft"}}?</reason>{OBJECT}',
        f'<think type="deep">{{"prompt": "a draft"}}</think>{OBJECT}',
        f"<|begin_of_thought|>a bird?<|end_of_thought|>\n<|begin_of_solution|>{OBJECT}",
        f"<|channel|>commentary<|message|>{OBJECT}<|channel|>analysis<|message|>Was that good?",
        f"analysisThe user wants {{a kite}}.assistantfinal{OBJECT}",
        f"{OBJECT}<｜end▁of▁sentence｜>",
        OBJECT.replace('"', "&quot;"),
        json.dumps({"prompts": ["A kite", "A second kite"]}),
        json.dumps({"promptText": "A kite"}),
        json.dumps({"original_prompt": "kite pls", "revised_prompt": "A kite"}),
        json.dumps({"input": {"prompt": "kite pls"}, "output": {"prompt": "A kite"}}),
        json.dumps({"negative": {"prompt": "blur"}, "positive": {"prompt": "A kite"}}),
        json.dumps({"prompt": "```\nA kite\n```"}),
        json.dumps({"prompt": "**Prompt:** A kite"}),
        json.dumps({"a": {"b": {"c": [{"d": {"prompt": "A kite"}}]}}}),
    ],
)
def test_prompt_is_found_in_a_wrapped_object(text: str) -> None:
    assert prompt_in(text) == "A kite"


@pytest.mark.parametrize(
    "text",
    [
        "A kite",
        '"A kite"',
        "“A kite”",
        "**A kite**",
        "```\nA kite\n```",
        "```A kite```",
        "<prompt>A kite</prompt>",
        "<think>birds?</think>A kite",
        "Prompt: A kite",
        "**Prompt:** A kite",
        "### Prompt:\nA kite",
        "**Image prompt:** A kite\n\n**Title:** Kite\n**Alt text:** A red kite\n**Tags:** kite",
        "Here is the prompt: A kite",
        "Sure! Here's a vivid image prompt for you:\n\nA kite",
        "1. A kite\n2. A second kite",
        "  A kite\x00 ",
        "A\u202e kite",
        "A kite<end_of_turn>",
        "<answer>A kite</answer>",
        '<prompt lang="en"><![CDATA[A kite]]></prompt>',
        "`A kite`",
        "「A kite」",
        "> A kite",
        "# Kite\n\nA kite",
        "Sure, here you go:\n\nA kite",
        "Here is your image prompt.\n\nA kite\n\nLet me know if you want changes.",
        "Option 1: A kite\n\nOption 2: A second kite",
        "**Version 1:**\nA kite\n\n**Version 2:**\nA second kite",
        "prompt: |\n  A\n  kite\ntitle: Kite",
        '---\nprompt: "A kite"\ntitle: Kite\n---',
        'prompt = "A kite"\ntitle = "Kite"',
        "analysisThe user wants a kite.assistantfinalA kite",
    ],
)
def test_prompt_is_found_in_prose(text: str) -> None:
    assert prompt_in(text) == "A kite"


@pytest.mark.parametrize(
    "text",
    [
        "A red kite: the string is taut",
        "A kite with the words 'Here is: home' on it",
        "A sign that reads “open”, at dusk",
        "A kite (1968) [print], 3 < 4",
        "Tags on a suitcase, seen from above",
        "Great white sharks under a kite\n\nThe light is low",
        "Sorry little bear with a torn kite",
        "Unable to fly, the kite lies in the grass",
        '"A kite" is what the banner reads',
        "🪁",
    ],
)
def test_plain_prompt_is_kept_word_for_word(text: str) -> None:
    assert prompt_in(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00",
        '""',
        '{"prompt": "  "}',
        '{"prompt": 5}',
        '{"prompt": "A lighthouse at dusk, waves',
        '```json\n{"prompt": "A lighthouse',
        '[{"prompt": "A lighthouse',
        '{"title": "Kite"}',
        '{"negative_prompt": "blur"}',
        '{"error": "I cannot do that"}',
        "<think>The user wants a kite and I",
        "<think>The user wants a kite</think>",
        "<html><body>Bad gateway</body></html>",
        "<svg xmlns='http://www.w3.org/2000/svg'/>",
        "[Wide shot] of a kite",
        '"{\\"prompt\\": \\"A light',
        "[" * 50_000,
        "{" * 50_000,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        "x" * 200_001,
        "```",
        "<think>" * 20_000,
        "<prompt>" * 20_000,
        "]" * 50_000 + "[" * 50_000,
        'The answer is {"prompt": "A lighthouse at dusk',
        '<think>Maybe {"prompt": "a draft"}, or',
        'Well. <think>Maybe {"prompt": "a draft"}, or',
        "<|channel|>analysis<|message|>The user wants a kite, so I",
        "analysisThe user wants a kite",
        "\u200b<think>The user",
        '\u200f{"title": "A light',
        '({"title": "Kite"})',
        "- <svg>",
        "| prompt | title |\n|--|--|\n| A kite | Kite |",
        "https://example.com/kite.png",
        "![kite](https://example.com/kite.png)",
        "null",
        "N/A",
        "5",
        "…",
        '{"prompt": "string"}',
        '{"no_prompt": "the request is not allowed"}',
        '{"has_prompt": "yes"}',
        '{"user": {"prompt": "kite pls"}}',
        "I'm sorry, but I can't help with that.",
        "I cannot create a prompt for this.",
        "Unfortunately, I won’t write that.",
        '{"prompt": "I am unable to assist with this request."}',
        "Could you describe the kite?",
        "Error: rate limit exceeded",
        "**" * 50_000,
        "<think>" * 20_000 + "</thinking>" * 5_000,
        "<prompt>" * 20_000 + "</b>",
    ],
)
def test_answer_without_a_prompt_is_refused(text: str) -> None:
    assert prompt_in(text) is None


@pytest.mark.parametrize(
    "words", ["' \" </script> {% $states %}", "A kite </b> in ``` a storm", '"A kite", it says']
)
def test_prompt_in_an_object_may_quote_anything(words: str) -> None:
    assert prompt_in(json.dumps({"prompt": words})) == words


@pytest.mark.parametrize("text", ["A lighthouse at dusk, waves", '{"prompt": "A lighthouse', ""])
def test_cut_answer_is_never_painted(text: str) -> None:
    assert prompt_in(text, cut=True) is None


def test_complete_object_survives_the_limit() -> None:
    assert prompt_in(OBJECT, cut=True) == "A kite"


def test_other_texts_come_from_labels() -> None:
    text = "**Prompt:** A kite\n**Title:** Kite\n**Alt text:** A red kite\n**Tags:** #kite, red"
    assert read_answer(text) == PromptTexts(
        prompt="A kite", title="Kite", alt_text="A red kite", tags=["kite", "red"]
    )


@pytest.mark.parametrize(
    "words",
    [
        "من می‌خواهم",
        "👨‍👩‍👧 on a beach",
        "नमस्ते दुनिया, विज्ञान",
        "שלום עולם",
        "🏴󠁧󠁢󠁳󠁣󠁴󠁿 and ✌🏽",
        "ไทย ภาษา",
    ],
)
def test_every_writing_system_survives(words: str) -> None:
    body = {"prompt": words, "title": words, "alt_text": words, "tags": [words]}

    texts = read_answer(json.dumps(body, ensure_ascii=False))

    assert texts == PromptTexts(prompt=words, title=words, alt_text=words, tags=[words])
    assert prompt_in(words) == words


def test_long_prompt_is_cut_between_words() -> None:
    assert prompt_in("kite " * 1_000) == ("kite " * (models.MAX_WRITTEN_BYTES // 5)).strip()


def test_family_of_emoji_is_cut_whole() -> None:
    family = "👨‍👩‍👧"
    prompt = prompt_in(family * 200)
    assert prompt == family * (models.MAX_WRITTEN_BYTES // len(family.encode()))


def test_flood_of_text_is_cut() -> None:
    body = {"prompt": "x" * 9_000, "title": "t" * 999, "alt_text": "a" * 999, "tags": ["y"] * 50}

    texts = read_answer(json.dumps(body))

    assert texts is not None
    assert len(texts.prompt) == models.MAX_WRITTEN_BYTES
    assert len(texts.title) <= prompt_text.MAX_TITLE
    assert len(texts.alt_text) <= prompt_text.MAX_ALT_TEXT
    assert len(texts.tags) == prompt_text.MAX_TAGS
