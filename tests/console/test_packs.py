"""How the console's modules are joined, and that what cannot be joined is sent as it is written."""

from __future__ import annotations

import re

import pytest

from helpdesk.api.console import FOLDER
from helpdesk.api.console_packs import joined

SHELL = {"shell/shell.js": 'import { one } from "../kernel/one.js";\nexport const open = () => one;\n'}
KERNEL = {"kernel/one.js": "export const one = 1;\n"}
_EXPORTED = re.compile(r"^export (?:async )?(?:const|let|function\*?|class) ([\w$]+)|^export \{ (.*?) \}", re.MULTILINE)
_TAKEN = re.compile(r'^import \{ (.*?) \} from "(\.[^"]+)"', re.MULTILINE)


def exports(code: str) -> set[str]:
    names = {name for one, several in _EXPORTED.findall(code) for name in (one or several).split(", ")}
    return {name.split(" as ")[-1] for name in names} | ({"default"} if "\nexport default " in f"\n{code}" else set())


SOURCES = {path.relative_to(FOLDER).as_posix(): path.read_text("utf-8") for path in FOLDER.rglob("*.js")}


def test_a_module_goes_into_the_entry_of_its_folder() -> None:
    files, places = joined(SHELL | KERNEL)
    assert list(files) == ["shell/shell.js"]
    assert places == {"shell/shell.js": ("shell/shell.js", None), "kernel/one.js": ("shell/shell.js", "$kernel_one")}


@pytest.mark.parametrize(
    "code",
    [
        "export default 1;\n",
        "export let one = 1;\n",
        "const two = 2;\nexport { two as one };\n",
        "await 1;\nexport const one = 1;\n",
        "export const { one } = { one: 1 };\n",
        "export {\n  one,\n};\n",
    ],
)
def test_a_module_that_exports_otherwise_stays_a_file_of_its_own(code: str) -> None:
    files, places = joined(SHELL | {"kernel/one.js": code})
    assert files["kernel/one.js"] == code
    assert places["kernel/one.js"] == ("kernel/one.js", None)


def test_modules_that_import_each_other_are_sent_as_they_are() -> None:
    """One after the other, the first would find nothing where the second is to be."""
    modules = SHELL | {
        "kernel/one.js": 'import { two } from "./two.js";\nexport const one = () => two;\n',
        "kernel/two.js": 'import { one } from "./one.js";\nexport const two = () => one;\n',
    }
    assert joined(modules)[0] == modules


def test_whoever_imports_a_name_finds_it() -> None:
    """A browser refuses modules that ask for what is not there. Joined ones would be given nothing, without a word."""
    for name, code in SOURCES.items():
        for names, path in _TAKEN.findall(code):
            there = exports(((FOLDER / name).parent / path).read_text("utf-8"))
            assert {one.split(" as ")[0] for one in names.split(", ")} <= there, f"{name}: {path}"
