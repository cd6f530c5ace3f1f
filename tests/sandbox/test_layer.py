"""The layer as a whole: every module says what it is for, and none that changes moto is forgotten."""

import ast
import importlib
import sys
import unittest
from pathlib import Path

from support import PACKAGE_PARENT

sys.path.insert(0, str(PACKAGE_PARENT))

from orderctl_sandbox import MOTO_VERSION

PACKAGE = PACKAGE_PARENT / "orderctl_sandbox"


def source_of(path: Path) -> Path:
    """The file of a module, which is a package's ``__init__``."""
    return path / "__init__.py" if path.is_dir() else path


def changes_moto(path: Path) -> bool:
    """Whether the module or package has an ``apply`` of its own."""
    source = source_of(path)
    if path.name == "__init__.py" or source.suffix != ".py" or not source.exists():
        return False
    body = ast.parse(source.read_text()).body
    return any(isinstance(node, ast.FunctionDef) and node.name == "apply" for node in body)


def applied(package: str) -> list[Path]:
    """The modules and packages right below a package that change moto."""
    return sorted(path for path in (PACKAGE / package).iterdir() if changes_moto(path))


def packages() -> list[str]:
    """The packages that apply modules in an order of their own."""
    nested = [path for path in applied("behaviour") + applied("patches") if path.is_dir()]
    return ["behaviour", "patches", *(str(path.relative_to(PACKAGE)) for path in nested)]


class LayerTest(unittest.TestCase):
    def test_every_module_that_changes_moto_is_applied(self):
        for package in packages():
            with self.subTest(package):
                listed = importlib.import_module(f"orderctl_sandbox.{package.replace('/', '.')}").MODULES
                self.assertEqual(sorted(path.stem for path in applied(package)), sorted(listed))

    def test_every_patch_names_the_moto_it_was_written_against(self):
        # So that a newer moto shows which of them to look at again.
        for path in applied("patches"):
            with self.subTest(path.stem):
                self.assertIn(f"(moto {MOTO_VERSION})", _docstring(path))

    def test_every_behaviour_names_its_section_of_the_field_guide(self):
        for package in packages():
            for path in applied(package) if package.startswith("behaviour") else ():
                with self.subTest(str(path.relative_to(PACKAGE))):
                    self.assertRegex(_docstring(path), r"[Ss]ections?\s+\d")

    def test_every_module_has_a_docstring_and_a_measure(self):
        for path in sorted(PACKAGE.rglob("*.py")):
            with self.subTest(str(path.relative_to(PACKAGE))):
                self.assertTrue(_docstring(path))
                self.assertLess(len(path.read_text().splitlines()), 500)


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(source_of(path).read_text())) or ""


if __name__ == "__main__":
    unittest.main()
