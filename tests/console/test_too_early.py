"""Every name of the console has its value before it is used, as it is written and as it is sent."""

from __future__ import annotations

import pytest

from helpdesk.api.console import FOLDER, Console
from tests.console.too_early import too_early


@pytest.mark.parametrize(
    ("code", "faults"),
    [
        ("const { y } = f({ x }), x = 1;", 1),
        ("const [y] = [{ a: x }]; let x;", 1),
        ("if (a) { use(x); const x = 1; }", 1),
        ("use(x); (() => { use(x); })(); const x = 1;", 2),
        ("const f = () => x; const x = 1; f();", 0),
        ("const x = 1; { const { y = x } = z; }", 0),
        ("for (const x of xs) use(x); const x = 1;", 0),
        ("const a = 1, [b = a, { c: d = b }] = f({ a }); use({ x: d });", 0),
    ],
)
def test_uses_that_come_too_early_are_found_and_no_others(code: str, faults: int) -> None:
    assert len(too_early(code)) == faults


def test_every_name_has_its_value_before_it_is_used() -> None:
    sent = {name: file.body.decode() for name, file in Console().files.items() if name.endswith(".js")}
    written = {str(path): path.read_text("utf-8") for path in FOLDER.rglob("*.js")}
    found = {name: uses for name, code in (written | sent).items() if (uses := too_early(code))}
    assert found == {}
