from easel.contract import errors
from easel.contract.errors import EaselError, InputError


def test_tree_names_every_class_in_order() -> None:
    drawn = [
        line.replace("│", " ").split("─ ")[-1].split()[0]
        for line in (errors.__doc__ or "").splitlines()
        if "─ " in line
    ]
    defined = [
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, EaselError)
    ]
    assert sorted([*drawn, "EaselError"]) == sorted(defined)


def test_input_error_shows_a_word_and_summarizes_others() -> None:
    assert 'size is "1x1"; allowed' in str(InputError("size", "1x1", "x"))
    assert "is a text of 3 characters with U+202E;" in str(InputError("size", "a\u202eb", "x"))
    assert "is a text of 6 characters;" in str(InputError("size", "a word", "x"))
    assert "is a text of 10,000 characters;" in str(InputError("size", "x" * 10_000, "y"))
    assert "is an object with 2 fields;" in str(InputError("size", {"a": 1, "b": 2}, "y"))
    assert "is true;" in str(InputError("size", True, "y"))
    assert "is null;" in str(InputError("size", None, "y"))


def test_input_error_escapes_its_field() -> None:
    error = InputError("a\x1b[31m\u202e\ud800", 1, "x")

    assert error.field == r"a\x1b[31m\u202e\ud800"
    assert str(error).startswith(rf"{error.field} is 1;")


def test_made_up_name_is_shown_if_like_ours() -> None:
    assert errors.label("colour_2") == "colour_2"
    for name in ("[red]x", "a\x1b", "Überraschung", "two words", "", "1", "x" * 41):
        assert errors.label(name) == f"a field whose name has {len(name)} character" + (
            "" if len(name) == 1 else "s"
        )
