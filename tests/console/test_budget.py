"""What the console weighs, packed as it is sent."""

from __future__ import annotations

from collections import Counter

from helpdesk.api.console import FOLDER, Console

KB = 1000
ALL = 150 * KB
FIRST = 45 * KB


def test_all_modules_with_one_language_stay_within_their_weight() -> None:
    files = {name: len(file.packed) for name, file in Console().files.items() if name.endswith(".js")}
    weights: Counter[str] = Counter()
    for name, size in files.items():
        weights["/".join(name.split("/")[:2]) if name.startswith("text/") else name.split("/")[0]] += size
    texts = [weights.pop(f"text/{language}") for language in ("en", "zh-CN", "zh-TW")]
    assert weights.total() + max(texts) <= ALL, (weights.most_common(), texts)


def test_the_first_screen_needs_little() -> None:
    console = Console()
    first = console.graph("boot.js", "shell/shell.js", "inbox/inbox.js")
    texts = ["text/zh-CN/shell.js", "text/zh-CN/inbox.js"]
    assert sum(len(console.files[name].packed) for name in [*first, *texts]) <= FIRST, first


def test_no_module_is_so_long_that_nobody_reads_it() -> None:
    long = {name: file.body.count(b"\n") for name, file in Console().files.items() if name.endswith(".js")}
    assert {name: lines for name, lines in long.items() if lines > 320 and not name.startswith("text/")} == {}


def test_only_what_people_read_is_taken_out_of_a_module() -> None:
    """Whole lines of comment, and white space at the beginning of a line."""
    for name, file in Console().files.items():
        written, sent = (FOLDER / name).read_text("utf-8").split("\n"), file.body.decode().split("\n")
        if name.endswith(".js") and written != sent:
            assert len(written) == len(sent), name
            for line, left in zip(written, sent, strict=True):
                assert left == line.lstrip(" ") or (not left and line.lstrip(" ").startswith(("//", "/**", "*"))), name
