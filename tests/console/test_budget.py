"""What the console weighs, packed as it is sent."""

from __future__ import annotations

from helpdesk.api.console import Console

KB = 1000
ALL = 150 * KB
FIRST = 45 * KB


def test_all_modules_with_one_language_stay_within_their_weight() -> None:
    files = Console().files
    weights = dict.fromkeys(("en", "zh-CN", "zh-TW"), 0)
    for name, file in files.items():
        if name.endswith(".js"):
            for language in weights:
                weights[language] += len(file.packed) * (not name.startswith("text/") or f"/{language}/" in name)
    assert max(weights.values()) <= ALL, weights


def test_the_first_screen_needs_little() -> None:
    console = Console()
    first = console.graph("boot.js", "shell/shell.js", "inbox/inbox.js")
    texts = ["text/zh-CN/shell.js", "text/zh-CN/inbox.js"]
    assert sum(len(console.files[name].packed) for name in [*first, *texts]) <= FIRST, first


def test_no_module_is_so_long_that_nobody_reads_it() -> None:
    long = {name: file.body.count(b"\n") for name, file in Console().files.items() if name.endswith(".js")}
    assert {name: lines for name, lines in long.items() if lines > 320 and not name.startswith("text/")} == {}
