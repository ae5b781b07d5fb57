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


def test_input_error_escapes_and_cuts_values() -> None:
    assert '"a\\u202eb"' in str(InputError("folder_name", "a\u202eb", "x"))
    assert '"é"' in str(InputError("folder_name", "é", "x"))
    assert len(str(InputError("topic", "x" * 10_000, "y"))) < 300
