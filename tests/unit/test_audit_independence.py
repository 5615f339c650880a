from __future__ import annotations

import ast
from importlib.resources import files


def test_the_audit_shares_no_code_with_the_services() -> None:
    imported: set[str] = set()
    for module in files("decorum_simulation.audit").iterdir():
        if module.name.endswith(".py"):
            for node in ast.walk(ast.parse(module.read_text())):
                if isinstance(node, ast.ImportFrom):
                    imported.add(node.module or "")
                elif isinstance(node, ast.Import):
                    imported.update(alias.name for alias in node.names)

    ours = {name for name in imported if name.split(".")[0] not in ("msgspec", "typer", "zoneinfo")}
    foreign = {"shared", "scheduler", "compliance_gate", "notifier", "ledger", "decorum_local", "holidays"}
    assert not {name.split(".")[0] for name in ours} & foreign
    assert all(name.startswith("decorum_simulation.audit") for name in ours if name.startswith("decorum_simulation"))
