"""What the console weighs, packed as it is sent."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from helpdesk.api.console import FOLDER, Console, routes
from helpdesk.api.console_minify import minified

KB = 1000
CODE, TEXTS, FIRST = 150 * KB, 40 * KB, 50 * KB


def test_all_modules_and_the_texts_of_a_language_stay_within_their_weight() -> None:
    files = {name: len(file.packed) for name, file in Console().files.items() if name.endswith((".js", ".json"))}
    weights: Counter[str] = Counter()
    for name, size in files.items():
        weights["/".join(name.split("/")[:2]) if name.startswith("text/") else name.split("/")[0]] += size
    texts = [weights.pop(f"text/{language}") for language in ("en", "zh-CN", "zh-TW")]
    assert weights.total() <= CODE, weights.most_common()
    assert max(texts) <= TEXTS, texts


def test_the_first_screen_needs_little() -> None:
    console = Console()
    first = console.graph("boot.js", "shell/shell.js", "inbox/inbox.js")
    texts = ["text/zh-CN/shell.json", "text/zh-CN/inbox.json"]
    assert sum(len(console.files[name].packed) for name in [*first, *texts]) <= FIRST, first
    # One module of theirs would bring all of them along, twice what the first screen is.
    heavy = {area for area in set(routes().values()) if "settings/settings.js" in console.graph(f"{area}/{area}.js")}
    assert heavy == {"settings"}


def test_no_module_is_so_long_that_nobody_reads_it() -> None:
    long = {path.relative_to(FOLDER): path.read_bytes().count(b"\n") for path in FOLDER.rglob("*.js")}
    assert {path: lines for path, lines in long.items() if lines > 320} == {}


def test_what_is_sent_has_been_made_small() -> None:
    """By another process, which may be away: then all comes as it was joined, and says so in the log."""
    sent = sum(len(file.body) for name, file in Console().files.items() if name.endswith(".js"))
    assert sent < 0.7 * sum(path.stat().st_size for path in FOLDER.rglob("*.js"))


def test_where_it_cannot_be_made_small_all_is_sent_as_it_was_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert minified({"boot.js": "export const one = 1;"}) == {"boot.js": "export const one = 1;"}
    monkeypatch.setattr(sys, "executable", "false")
    assert minified({"boot.js": "export const one = 1;"}) == {"boot.js": "export const one = 1;"}


def test_modules_are_joined_and_none_is_sent_twice() -> None:
    console = Console()
    sent = b"\n".join(file.body for name, file in console.files.items() if name.endswith(".js")).decode()
    assert console.place("kernel/dom.js") == ("shell/shell.js", "$kernel_dom")
    for path in FOLDER.rglob("*.js"):
        name = path.relative_to(FOLDER).as_posix()
        file, word = console.place(name)
        assert file in console.files, name
        if word:
            assert sent.count(f"{word}=(()=>") == 1, name


def test_what_is_declared_stays_in_its_order_when_it_is_made_small() -> None:
    lines = [
        "const query = text.trim();",
        "const { items } = get({ ...query, limit: 25 });",
        "const { one } = get({ items });",
        "const options = () => {",
        "  const { inner } = get({ one });",
        "  return inner;",
        "};",
        "const [a, b] = [get({ options }), 1];",
        "const [c] = get({ a });",
    ]
    body = "\n  ".join(lines)
    found = minified({"a.js": f"export function f(text) {{\n  {body}\n  return b + c + items + query;\n}}\n"})["a.js"]
    begun = [found.index(one) for one in (".trim()", "limit:25", "get({items:", "=()=>", "get({options:", "get({a:")]
    assert begun == sorted(begun), found
