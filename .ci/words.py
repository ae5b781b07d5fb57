"""Check the words of the docs, docstrings, comments and messages: `make check` runs it.

The list has phrases that read as if translated, each with a plain one. It is not a grammar check.
The script also keeps the README short.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

README_WORDS, README_LINES = 1_100, 140
LEFT_OUT = re.compile(
    r"tests/unit/test_words\.py|vendor/|bench/results\.(md|json)|docs/bench\.svg|bench/n8n/|\.ci/words\.py|LICENSE"
)
PLAIN_WORDS = {
    r"\b(that|those) of (a|an|another|the|who|every)\b": "name the thing again",
    r"(?-i:\bGives\b)": "return, in the imperative",
    r"\btells\b|\btold (of|by)\b": "reports, shows, logs",
    r"(?<!there\s)\bis no (?!longer\b|more\b)": "is not a",
    r"\bhad back\b|\bto be had\b|\bbe had\b": "restored, available",
    r"\b(go|goes|going|gone) on with\b|\b(goes|gone) on\b": "continues, resumes",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\banew\b": "again",
    r"\bbeside\b": "next to",
    r"\bby chance\b": "randomly",
    r"\ba while\b": "some time",
    r"\b(he|him|his|himself)\b": "they, it",
    r"\bwants a person\b|\bpasses by itself\b": "needs someone to act, is temporary",
    r"\ball the same\b": "anyway",
    r"\bfor good\b": "permanently",
    r"\bfor want of\b": "because … is missing",
    r"\bnone where\b|\bnull where\b": "or null if",
    r"\bstands\b(?! (for|in for)\b)": "is",
    r"\bwhat (came|died|stood|it holds)\b|\bwho (dies|died)\b": "name the thing",
    r"\bcan't be had\b|\bnever to be had\b": "is not available",
}
# A phrase may be wrapped onto the next line, where a comment's mark or an indent can follow.
GAP = r"[\s#*]+"
BANNED = [
    (re.compile(pattern.replace(" ", GAP), re.IGNORECASE), plain)
    for pattern, plain in PLAIN_WORDS.items()
]

Text = tuple[int, str]  # the number of its first line, and the text itself


def main() -> int:
    """Print what is wrong, and return 1 if there is anything."""
    listed = subprocess.run(  # noqa: S603
        ["git", "ls-files", *sys.argv[1:]],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [Path(path) for path in listed.stdout.splitlines() if not LEFT_OUT.search(path)]
    problems = [problem for path in paths for problem in find(path)]
    readme = Path("README.md").read_text()
    words, lines = len(readme.split()), len(readme.splitlines())
    if words > README_WORDS or lines > README_LINES:
        limits = f"{README_WORDS} words and {README_LINES} lines"
        problems.append(f"README.md has {words} words and {lines} lines; allowed: {limits}")
    print("\n".join(problems) or f"words: no banned phrase; README has {words} words")
    return 1 if problems else 0


def find(path: Path) -> Iterator[str]:
    """Yield each banned phrase of a file with its place and plain words."""
    for line, text in texts(path):
        for pattern, plain in BANNED:
            for match in pattern.finditer(text):
                number = line + text.count("\n", 0, match.start())
                yield f"{path}:{number}: {match[0]!r}: write {plain}"


def texts(path: Path) -> Iterator[Text]:
    """Yield the prose of a file. Code is left out."""
    match path.suffix:
        case ".md":
            yield 1, _without_code(path.read_text())
        case ".js" | ".html" | ".yml" | ".toml" | ".sh":
            yield 1, path.read_text()
        case ".py":
            yield from _of_python(path.read_text())
        case _ if path.name == "Makefile":
            yield 1, path.read_text()


def _without_code(page: str) -> str:
    def blank(code: re.Match[str]) -> str:
        return "\n" * code[0].count("\n")

    return re.sub(r"`[^`\n]*`", "`…`", re.sub(r"^```.*?^```", blank, page, flags=re.M | re.S))


def _of_python(source: str) -> Iterator[Text]:
    """Yield the comments, each with the comments on the lines after it, and the strings."""
    block: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            block.append(token)
        elif token.type != tokenize.NL and block:
            yield block[0].start[0], "\n".join(comment.string for comment in block)
            block = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


if __name__ == "__main__":
    sys.exit(main())
