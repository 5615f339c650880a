"""Import-linter contracts that name what may be imported and where modules may stand; anything else is refused."""

import sys
from typing import Any, ClassVar

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class AllowedImports(Contract):
    """In each of `packages`, the modules `importers` import only `allowed` ones of their package and `allowed_shared`.

    With `only_standard_library` nothing else from outside is allowed either. A module that a package doesn't have is
    no error.
    """

    type_name = "allowed_imports"

    packages: ClassVar[Any] = fields.ListField(subfield=fields.StringField())
    importers: ClassVar[Any] = fields.ListField(subfield=fields.StringField())
    allowed: ClassVar[Any] = fields.ListField(subfield=fields.StringField())
    allowed_shared: ClassVar[Any] = fields.ListField(subfield=fields.StringField())
    only_standard_library: ClassVar[Any] = fields.BooleanField(default=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every direct import of the importers."""
        refused = [
            (importer, imported)
            for package in self.packages
            for importer in sorted(graph.modules)
            if _is_within(importer, [f"{package}.{name}" for name in self.importers])
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not self._is_allowed(imported, package)
        ]
        return ContractCheck(kept=not refused, metadata={"refused": refused})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line for each import that is not allowed."""
        for importer, imported in check.metadata["refused"]:
            output.print_error(f"{importer} imports {imported}")

    def _is_allowed(self, imported: str, package: str) -> bool:
        top = imported.split(".")[0]
        if top == package:
            return _is_within(imported, [f"{package}.{name}" for name in self.allowed])
        if top == "shared":
            return _is_within(imported, self.allowed_shared)
        return not self.only_standard_library or top in sys.stdlib_module_names


class Rooms(Contract):
    """Each of `packages` has only modules and folders of `rooms`, and all that are `required`; `more` names others."""

    type_name = "rooms"

    packages: ClassVar[Any] = fields.ListField(subfield=fields.StringField())
    rooms: ClassVar[Any] = fields.ListField(subfield=fields.StringField())
    required: ClassVar[Any] = fields.ListField(subfield=fields.StringField())
    more: ClassVar[Any] = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at what stands directly in each package."""
        there = {room for package in self.packages for room in graph.find_children(package)}
        known = {f"{package}.{name}" for package in self.packages for name in self.rooms} | set(self.more)
        required = {f"{package}.{name}" for package in self.packages for name in self.required}
        refused = [f"{room} is no room of a service" for room in sorted(there - known)]
        refused += [f"{room} is missing" for room in sorted(required - there)]
        return ContractCheck(kept=not refused, metadata={"refused": refused})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line for each module that stands elsewhere, or nowhere."""
        for line in check.metadata["refused"]:
            output.print_error(line)


def _is_within(module: str, ancestors: list[str]) -> bool:
    return any(module == ancestor or module.startswith(ancestor + ".") for ancestor in ancestors)
