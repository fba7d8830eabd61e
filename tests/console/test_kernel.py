"""What every screen stands on, tried within the page: state, lists of nodes, texts and formats."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helpdesk.api.console import made
from tests.console.browser import Desk, Visit
from tests.console.test_packs import SOURCES, exports


@pytest.fixture(scope="module")
def page(desk: Desk) -> Iterator[Visit]:
    visit = desk.visit("/search")
    yield visit
    visit.untroubled()


def test_an_effect_runs_when_what_it_read_is_another_and_only_then(page: Visit) -> None:
    told = page.module(
        "kernel/signals.js",
        """({ signal, computed, effect, flush, scope }) => {
          const told = [], count = signal(1), even = computed(() => count.value % 2 === 0);
          const { dispose } = scope(() => effect(() => told.push(even.value)));
          count.value = 3; flush();
          count.value = 4; flush();
          count.value = 6; count.value = 8; flush();
          dispose();
          count.value = 9; flush();
          return told;
        }""",
    )
    assert told == [False, True]


def test_an_effect_tidies_up_before_it_runs_again_and_at_the_end(page: Visit) -> None:
    told = page.module(
        "kernel/signals.js",
        """({ signal, effect, flush, scope, onCleanup }) => {
          const told = [], count = signal(1);
          const { dispose } = scope(() => effect(() => {
            const now = count.value;
            onCleanup(() => told.push(`inner ${now}`));
            return () => told.push(`end ${now}`);
          }));
          count.value = 2; flush(); dispose();
          return told;
        }""",
    )
    assert told == ["end 1", "inner 1", "end 2", "inner 2"]


def test_rows_that_stay_keep_their_node_their_focus_and_what_was_typed(page: Visit) -> None:
    found = page.module(
        ("kernel/dom.js", "kernel/signals.js"),
        """async ({ h, each, mount, flush, signal }) => {
          const items = signal([{ id: 1, n: "a" }, { id: 2, n: "b" }, { id: 3, n: "c" }]);
          const place = document.body.appendChild(h("div"));
          const row = (item$) => h("label", {}, () => item$.value.n, h("input", { name: () => item$.value.n }));
          const end = mount(place, () => h("div", {}, each(() => items.value, (one) => one.id, row)));
          const second = place.querySelectorAll("input")[1];
          second.value = "typed"; second.focus();
          items.value = [{ id: 2, n: "B" }, { id: 4, n: "d" }, { id: 1, n: "a" }];
          flush();
          const found = [place.textContent, document.activeElement === second, second.value, second.name];
          end(); place.remove();
          return found;
        }""",
    )
    assert found == ["Bda", True, "typed", "B"]


def test_addresses_that_would_run_something_are_left_out_and_markup_is_refused(page: Visit) -> None:
    found = page.module(
        "kernel/dom.js",
        """({ h }) => {
          const links = ["javascript:alert(1)", " JaVaScRiPt:alert(1)", "data:text/html,x", "https://a.example/",
            "/inbox"];
          const refused = ["innerHTML", "srcdoc", "onclick"].map((name) => {
            try { h("div", { [name]: "<b>" }); return false; } catch { return true; }
          });
          return [links.map((href) => h("a", { href }).getAttribute("href")), refused];
        }""",
    )
    assert found == [[None, None, None, "https://a.example/", "/inbox"], [True, True, True]]


def test_durations_and_numbers_are_said_by_the_browser(page: Visit) -> None:
    found = page.module(
        "kernel/format.js",
        "({ duration, bytes, percent, number }) => [duration(59), duration(3725), duration(90000), bytes(1536000), "
        "percent(0.123), number(12345)]",
    )
    assert found == ["59 sec", "1 hr 2 min", "1 day 1 hr", "1.5 MB", "12.3%", "12,345"]


def test_shortcuts_know_an_input_method_and_a_field(page: Visit) -> None:
    found = page.module(
        "kernel/keys.js",
        """({ composing, nameOf, typing }) => {
          const key = (key, more = {}) => new KeyboardEvent("keydown", { key, ...more });
          const area = document.createElement("textarea");
          return [composing(key("Enter", { isComposing: true })), composing(key("Enter", { keyCode: 229 })),
            composing(key("Enter")), nameOf(key("?", { shiftKey: true })), nameOf(key("K", { ctrlKey: true })),
            nameOf(key("Enter", { ctrlKey: true, shiftKey: true })), typing(area), typing(document.body)];
        }""",
    )
    assert found == [True, True, False, "?", "Mod-k", "Mod-Shift-Enter", True, False]


def test_whoever_takes_a_word_away_goes_on_beside_it(page: Visit) -> None:
    found = page.module(
        ("kernel/dom.js", "kernel/parts.js"),
        """async ({ h, chip }) => {
          const word = (text) => { const one = chip({ text, remove: () => one.remove() }); return one; };
          const row = document.body.appendChild(h("div", {}, word("a"), word("b")));
          const first = row.querySelector("button");
          first.focus(); first.click();
          for (let i = 0; i < 3; i += 1) await new Promise(requestAnimationFrame);
          const has = row.querySelector("button") === document.activeElement;
          row.remove();
          return [row.childElementCount, has];
        }""",
    )
    assert found == [1, True]


def test_tags_of_languages_lead_to_one_of_ours(page: Visit) -> None:
    tags = ["zh-Hant-HK", "zh_TW", "zh-CN", "zh", "en-GB", "de"]
    found = page.module("kernel/i18n.js", "({ spoken }, tags) => tags.map((one) => spoken(one) ?? null)", tags)
    assert found == ["zh-TW", "zh-TW", "zh-CN", "zh-CN", "en", None]


def test_every_module_is_had_with_all_that_it_exports(page: Visit) -> None:
    """Each file that is sent is loaded, and each module asked for what its source says."""
    wanted = [[*made().place(name), sorted(exports(code))] for name, code in SOURCES.items() if name != "boot.js"]
    wrong = page.page.evaluate(
        """async ([root, wanted]) => {
          const wrong = [];
          for (const [file, word, names] of wanted) {
            const all = await import(root + file).catch((error) => wrong.push(`${file}: ${error}`));
            const found = word ? all?.[word] : all;
            for (const name of names) if (found?.[name] === undefined) wrong.push(`${file} ${word}: ${name}`);
          }
          return wrong;
        }""",
        [made().root, wanted],
    )
    assert wrong == []
