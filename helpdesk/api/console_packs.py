"""The console's modules, joined by folder for the way to the browser: forty answers become ten, and a fifth lighter.

What is joined is a folder's modules into its entry (`inbox/inbox.js`), the pages of the settings into theirs, what the
first module imports into that, and all else of the kernel, with whatever the shell imports, into the shell's, which is
always there. Each module stays a scope of its own, a function that answers what it exports; who imports it takes that
from the entry. Nothing is renamed and nothing is parsed: the statements of imports and exports stand at the beginning
of a line, each in one line, and a module that writes them otherwise or is asked for by itself stays a file of its own.
So does what another area imports, which would else have to load the whole of its entry. Modules that import each other
cannot be one after the other: then all are sent as they are written, which works and weighs a fifth more, and the test
of the weight says so.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

BOOT: Final = "boot.js"
"""What runs first, with whatever it imports: it asks for answers before anything else is there."""
SHELL: Final = "shell/shell.js"
_KERNEL: Final = "kernel"
_WHOLE: Final = "settings"
"""Where pages lie below the entry and have most in common: they are joined as well, and asked for under their names."""

_IMPORT: Final = re.compile(r'^import (?:(?:\{ ([^}]*) \}|(\w+)) from )?"(\.[^"]+)";$', re.MULTILINE)
_AGAIN: Final = re.compile(r'^export \{ ([\w$]+(?:, [\w$]+)*) \} from "(\.[^"]+)";$', re.MULTILINE)
_LISTED: Final = re.compile(r"^export \{ ([\w$]+(?:, [\w$]+)*) \};$", re.MULTILINE)
_DECLARED: Final = re.compile(r"^export (?=(?:const|(?:async )?function\*?|class) ([\w$]+))", re.MULTILINE)
_STATEMENT: Final = re.compile(r"^(?:import\b(?!\()|export\b|await\b)[^\n]*", re.MULTILINE)
_NAMED: Final = re.compile(r'(?:from |import )"(\.[^"]+)"')
_ASKED: Final = re.compile(r'import\("(\.[^"]+)"\)')


Place = tuple[str, str | None]
"""Where a module is to be had: the file, and the export of it that has the module's own ones."""


def joined(modules: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Place]]:
    """Modules by path, as few as they can be, and where each is now. Those that no rule fits come back as they are."""
    found, homes = _packed(modules)
    return found, {name: (name, None) if name in found else (homes[name], _word(name)) for name in modules}


def _packed(modules: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    homes = _homes(modules)
    packs: dict[str, list[str]] = {}
    for name in _in_order(modules):
        if name in homes:
            packs.setdefault(homes[name], []).append(name)
    found = {name: _rewritten(name, code, homes) for name, code in modules.items() if name not in homes}
    for entry, names in packs.items():
        found[entry] = _Pack(entry, modules, homes).text(names)
        pages = [name for name in names if name != entry and name.startswith(f"{_WHOLE}/") and _is_entry(name)]
        found |= {name: _page(name, entry, modules[name]) for name in pages}
    whole = all(at in found for name, code in found.items() for at in _imports(name, code))
    whole = whole and not _goes_round(modules) and not _goes_round(found)
    return (found if whole else dict(modules)), homes


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
    waiting = [name] if name in modules else []
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
    first, always = [({one} | _needed(one, modules)) & modules.keys() for one in (BOOT, SHELL)]
    for name, code in modules.items():
        folder = posixpath.dirname(name)
        top = folder.split("/")[0]
        entry = SHELL if folder == _KERNEL or name in always else f"{folder}/{posixpath.basename(folder)}.js"
        entry = f"{top}/{top}.js" if top == _WHOLE else entry
        entry = BOOT if name in first else entry
        if entry not in modules or not _plain(code):
            continue
        outside = {one for one in modules if not one.startswith(f"{top}/")}
        outside = set() if entry in (BOOT, SHELL) or top == _WHOLE else outside
        if name == entry or (name not in asked and not users.get(name, set()) & outside):
            yield name, entry


def _is_entry(name: str) -> bool:
    *folders, file = name.split("/")
    return folders[-1:] == [file.removesuffix(".js")]


def _page(name: str, entry: str, code: str) -> str:
    """What is asked for by its own name, and lies in an entry."""
    word = _word(name)
    return f'import {{ {word} }} from "{_to(name, entry)}";\nexport const {{ {_exports(code)} }} = {word};\n'


def _plain(code: str) -> bool:
    known = sum(len(one.findall(code)) for one in (_IMPORT, _AGAIN, _LISTED, _DECLARED))
    return known == len(_STATEMENT.findall(code))


@lru_cache(maxsize=1024)
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


class _Pack:
    """Modules one after the other, each a function that answers its exports, and what the entry exports."""

    def __init__(self, entry: str, modules: Mapping[str, str], homes: Mapping[str, str]) -> None:
        self._entry, self._modules, self._homes = entry, modules, homes
        self._apart: dict[str, None] = {}
        self._packs: dict[str, dict[str, None]] = {}

    def text(self, names: list[str]) -> str:
        parts = [self._part(name, self._modules[name]) for name in names]
        parts.append(f"export const {{ {_exports(self._modules[self._entry])} }} = {_word(self._entry)};")
        taken = [f'import {{ {", ".join(words)} }} from "{path}";' for path, words in self._packs.items()]
        return "\n".join([*self._apart, *taken, *parts, ""])

    def _part(self, name: str, code: str) -> str:
        def own(found: re.Match[str]) -> str:
            return _taken(found, self._source(name, found[3]))

        def again(found: re.Match[str]) -> str:
            return f"const {{ {found[1]} }} = {self._source(name, found[2])};"

        def asked(found: re.Match[str]) -> str:
            return f'import("{_to(self._entry, _resolved(name, [found[1]])[0])}")'

        exports = _exports(code)
        for statement, instead in ((_IMPORT, own), (_AGAIN, again), (_ASKED, asked)):
            code = statement.sub(instead, code)
        code = _DECLARED.sub("", _LISTED.sub("", code))
        return f"export const {_word(name)} = (() => {{\n{code}\nreturn {{ {exports} }};\n}})();"

    def _source(self, name: str, path: str) -> str:
        (at,) = _resolved(name, [path])
        home, word = self._homes.get(at, at), _word(at)
        if home == at:
            self._apart[f'import * as {word} from "{_to(self._entry, at)}";'] = None
        elif home != self._entry:
            self._packs.setdefault(_to(self._entry, home), {})[word] = None
        return word


def _exports(code: str) -> str:
    listed = [*(names for names, _ in _AGAIN.findall(code)), *_LISTED.findall(code)]
    again = [name for names in listed for name in names.split(", ")]
    return ", ".join(dict.fromkeys(_DECLARED.findall(code) + again))
