"""Tables of settings for the READMEs, made from the dataclasses that are loaded: name, default, and what the code says.

A field is described by the string below it. One without is refused, so no setting stays unexplained.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

BEGIN: Final = "<!-- settings: made by `make contracts` from the code -->"
END: Final = "<!-- end of settings -->"


def settings_of(module_name: str) -> type[Any]:
    """The one dataclass of a module whose name ends with Settings."""
    module = importlib.import_module(module_name)
    [found] = [
        each
        for name, each in vars(module).items()
        if name.endswith("Settings") and dataclasses.is_dataclass(each) and each.__module__ == module_name
    ]
    assert isinstance(found, type)
    return found


def with_table(text: str, settings_type: type[Any], prefix: str, *, root: Path) -> str:
    """`text` with the table of `settings_type` between the two marks; raises ValueError where they are missing."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the table of {prefix}* has no place: {BEGIN} … {END}")
    return f"{head}{BEGIN}\n{table(settings_type, prefix, root=root)}\n{END}{tail}"


def table(settings_type: type[Any], prefix: str, *, root: Path) -> str:
    """A Markdown table with a row for each variable; paths inside the tree are shown from its `root`."""
    meanings = dict(_described(settings_type))
    missing = [field.name for field in dataclasses.fields(settings_type) if not meanings.get(field.name)]
    if missing:
        raise ValueError(f"{settings_type.__name__} doesn't say what these mean: {', '.join(missing)}")
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for field in dataclasses.fields(settings_type):
        meaning = meanings[field.name].replace("|", "\\|")
        rows.append(f"| `{prefix}{field.name.upper()}` | {_default(field, root)} | {meaning} |")
    return "\n".join(rows)


def _default(field: dataclasses.Field[Any], root: Path) -> str:
    value = field.default
    if value is dataclasses.MISSING:
        return "**required**"
    if value is None or value == "":
        return "–"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    if isinstance(value, Path):
        return f"`{value.relative_to(root)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _described(settings_type: type[Any]) -> Iterator[tuple[str, str]]:
    """Each field with the string below it, also those of the classes that it is made from."""
    for each in reversed(settings_type.__mro__):
        if dataclasses.is_dataclass(each):
            [body] = ast.parse(textwrap.dedent(inspect.getsource(each))).body
            assert isinstance(body, ast.ClassDef)
            for statement, below in zip(body.body, [*body.body[1:], ast.Pass()], strict=True):
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    yield statement.target.id, _text(below)


def _text(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).split())
    return ""
