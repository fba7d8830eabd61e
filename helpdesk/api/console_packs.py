"""The console's modules, joined by folder for the way to the browser: forty answers become ten, and a fifth lighter.

What is joined is a folder's modules into its entry (`inbox/inbox.js`), and all of the kernel into the shell's, which is
always there. Each module stays a scope of its own, a function that answers what it exports; who imports it takes that
from the entry. Nothing is renamed and nothing is parsed: the statements of imports and exports stand at the beginning
of a line, each in one line, and a module that writes them otherwise, waits while it is read, or is asked for by itself
stays a file of its own. So does what another area imports, which would else have to load the whole of its entry.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Final

SHELL: Final = "shell/shell.js"
_KERNEL: Final = "kernel"
_APART: Final = ("text", "")
"""Folders whose modules are asked for one by one."""

_IMPORT: Final = re.compile(r'^import (?:(?:\{ ([^}]*) \}|(\w+)) from )?"(\.[^"]+)";$', re.MULTILINE)
_AGAIN: Final = re.compile(r'^export \{ ([^}]*) \} from "(\.[^"]+)";$', re.MULTILINE)
_LISTED: Final = re.compile(r"^export \{ ([^}]*) \};$", re.MULTILINE)
_DECLARED: Final = re.compile(r"^export (?=(?:const|(?:async )?function\*?|class) (\w+))", re.MULTILINE)
_STATEMENT: Final = re.compile(r"^(?:import\b(?!\()|export\b|await\b)[^\n]*", re.MULTILINE)
_NAMED: Final = re.compile(r'(?:from |import )"(\.[^"]+)"')
_ASKED: Final = re.compile(r'import\("(\.[^"]+)"\)')


def joined(modules: Mapping[str, str]) -> dict[str, str]:
    """Modules by path, as few as they can be. Those that no rule fits come back as they are."""
    homes = _homes(modules)
    packs: dict[str, list[str]] = {}
    for name in _in_order(modules):
        if name in homes:
            packs.setdefault(homes[name], []).append(name)
    found = {name: _rewritten(name, code, homes) for name, code in modules.items() if name not in homes}
    for entry, names in packs.items():
        found[entry] = _pack(entry, names, modules, homes)
    whole = all(at in found for name, code in found.items() for at in _imports(name, code))
    return found if whole and not _goes_round(found) else dict(modules)


def place(modules: Mapping[str, str], name: str) -> tuple[str, str | None]:
    """Where a module is to be had: the file, and the export of it that has the module's own ones."""
    home = _homes(modules).get(name)
    return (home, _word(name)) if home and name not in joined(modules) else (name, None)


def _homes(modules: Mapping[str, str]) -> dict[str, str]:
    """Each module that can be joined, with the entry that it goes into."""
    homes = dict(_fitting(modules))
    while True:
        needs = {name: _needed(name, modules) for name in modules}
        # What stays apart and is imported by an entry's modules must not import of that entry in turn.
        round_about = {
            at
            for name in modules.keys() - homes.keys()
            for entry in {homes[user] for user in homes if name in needs[user]}
            for at in needs[name]
            if homes.get(at) == entry != at
        }
        if not round_about:
            return homes
        homes = {name: home for name, home in homes.items() if name not in round_about}


def _needed(name: str, modules: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = [at for at in _imports(waiting[-1], modules[waiting.pop()]) if at in modules and at not in found]
        found.update(new)
        waiting.extend(new)
    return found


def _fitting(modules: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    asked = {at for name, code in modules.items() for at in _resolved(name, _ASKED.findall(code))}
    users: dict[str, set[str]] = {}
    for name, code in modules.items():
        for at in _imports(name, code):
            users.setdefault(at, set()).add(name)
    for name, code in modules.items():
        folder = posixpath.dirname(name)
        entry = SHELL if folder == _KERNEL else f"{folder}/{posixpath.basename(folder)}.js"
        if entry not in modules or folder.split("/")[0] in _APART or not _plain(code):
            continue
        # Nothing waits for the shell before it asks for its first answers.
        outside = {"boot.js"} if entry == SHELL else {one for one in modules if not one.startswith(f"{folder}/")}
        if name == entry or (name not in asked and not users.get(name, set()) & outside):
            yield name, entry


def _plain(code: str) -> bool:
    known = sum(len(one.findall(code)) for one in (_IMPORT, _AGAIN, _LISTED, _DECLARED))
    return known == len(_STATEMENT.findall(code))


def _imports(name: str, code: str) -> list[str]:
    return _resolved(name, _NAMED.findall(code))


def _resolved(name: str, paths: list[str]) -> list[str]:
    return [posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) for path in paths]


def _in_order(modules: Mapping[str, str]) -> list[str]:
    """Whatever a module imports before itself. Modules that import each other end in some order; `joined` sees it."""
    found: dict[str, None] = {}

    def visit(name: str, above: frozenset[str]) -> None:
        if name in found or name in above or name not in modules:
            return
        for at in _imports(name, modules[name]):
            visit(at, above | {name})
        found[name] = None

    for name in sorted(modules):
        visit(name, frozenset())
    return list(found)


def _goes_round(modules: Mapping[str, str]) -> bool:
    order = {name: at for at, name in enumerate(_in_order(modules))}
    return any(order[at] >= order[name] for name, code in modules.items() for at in _imports(name, code))


def _word(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))


def _taken(found: re.Match[str], source: str) -> str:
    names, whole, _ = found.groups()
    if whole:
        return f"const {whole} = {source}.default;"
    return f"const {{ {names.replace(' as ', ': ')} }} = {source};" if names else ""


def _to(name: str, at: str) -> str:
    path = posixpath.relpath(at, posixpath.dirname(name))
    return path if path.startswith(".") else f"./{path}"


def _rewritten(name: str, code: str, homes: Mapping[str, str]) -> str:
    """A module of its own, which finds others where they are now."""

    def again(found: re.Match[str]) -> str:
        (at,) = _resolved(name, [found[3]])
        if at not in homes or at == homes[at]:
            return found[0]
        word = _word(at)
        return f'import {{ {word} }} from "{_to(name, homes[at])}";\n{_taken(found, word)}'

    return _IMPORT.sub(again, code)


def _pack(entry: str, names: list[str], modules: Mapping[str, str], homes: Mapping[str, str]) -> str:
    """A folder's modules, one after the other, and what the entry exports."""
    whole: dict[str, None] = {}
    foreign: dict[str, dict[str, None]] = {}
    parts: list[str] = []
    for name in names:
        given: list[str] = []

        def source(path: str, name: str = name) -> str:
            (at,) = _resolved(name, [path])
            home = homes.get(at, at)
            word = _word(at)
            if home == at:
                whole[f'import * as {word} from "{_to(entry, at)}";'] = None
            elif home != entry:
                foreign.setdefault(_to(entry, home), {})[word] = None
            return word

        def own(found: re.Match[str], source=source) -> str:  # type: ignore[no-untyped-def]
            return _taken(found, source(found[3]))

        def again(found: re.Match[str], source=source, given=given) -> str:  # type: ignore[no-untyped-def]
            given.append(found[1].replace(" as ", ": "))
            return f"const {{ {found[1].replace(' as ', ': ')} }} = {source(found[2])};"

        def listed(found: re.Match[str], given=given) -> str:  # type: ignore[no-untyped-def]
            given.append(found[1])
            return ""

        given += _DECLARED.findall(modules[name])
        code = _IMPORT.sub(own, modules[name])
        code = _LISTED.sub(listed, _AGAIN.sub(again, code))
        code = _DECLARED.sub("", code)
        parts.append(f"export const {_word(name)} = (() => {{\n{code}\nreturn {{ {', '.join(given)} }};\n}})();")
    open_to_all = ", ".join(dict.fromkeys(_DECLARED.findall(modules[entry]) + _names(modules[entry])))
    parts.append(f"export const {{ {open_to_all} }} = {_word(entry)};")
    taken = [f'import {{ {", ".join(words)} }} from "{path}";' for path, words in foreign.items()]
    return "\n".join([*whole, *taken, *parts, ""])


def _names(code: str) -> list[str]:
    listed = [*(names for names, _ in _AGAIN.findall(code)), *_LISTED.findall(code)]
    return [name for names in listed for name in names.split(", ")]
