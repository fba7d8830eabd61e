"""Every address of the console and all that opens there, in all themes, widths and languages, in a real browser.

    python benchmarks/console_everywhere.py [--languages en zh-CN zh-TW] [--widths 1440 390 320] [--themes light dark]
                                            [--people mina ben] [--only WORD ...] [--shots DIR]

A desk is furnished with everything, then somebody walks through it: each address, each editor, new and existing,
whatever a button says that it opens, dialogs, panels, and what is seen without a network or with the wrong password.
Exit code 1 for a serious fault that axe-core finds, a complaint of the page's policy, an error of the browser's, and
whatever makes a page wider than the window: at 320 pixels, too, nothing has to be scrolled in two directions.
It takes some two hours for all of it; CI walks the addresses alone (tests/journeys/test_console_everywhere.py).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.console_desk import furnish
from connectors.facebook.tests.fake import FakeGraph
from connectors.x.tests.fake import FakeX
from helpdesk.api.console import FOLDER
from tests.browser.bench import chromium
from tests.console.browser import Desk, Visit, opened
from tests.journeys.test_console_everywhere import addresses

if TYPE_CHECKING:
    from playwright.sync_api import Page

HEIGHTS = {1440: 900, 390: 844, 320: 640}
NOBODY = "01990000-0000-7000-8000-000000000000"
_WIDER = """() => {
  const shown = (one) => one.checkVisibility({ visibilityProperty: true });
  const named = (one) => `${one.tagName}.${one.className} ${one.scrollWidth}>${one.clientWidth}`;
  const meant = ".sideways, .tabs, .plot, pre, textarea, input, iframe, [data-wide]";
  const found = [...document.querySelectorAll("body, body *")].filter((one) => {
    const wider = one.clientWidth && one.scrollWidth > one.clientWidth + 1;
    const scrolls = wider && ["auto", "scroll"].includes(getComputedStyle(one).overflowX);
    return scrolls && !one.closest("svg") && !one.matches(meant) && shown(one);
  });
  // What sticks out furthest of each, to be looked for.
  const most = (one) => [...one.querySelectorAll("*")].reduce((far, each) => {
    const at = each.getBoundingClientRect().right;
    const within = each.parentElement.closest(".sideways, .tabs");
    return at > far[0] && shown(each) && !(within && one.contains(within)) ? [at, each] : far; }, [0, one])[1];
  const root = document.scrollingElement;
  const whole = root.scrollWidth > innerWidth ? [`page ${root.scrollWidth}>${innerWidth}`] : [];
  if (root.scrollHeight > innerHeight + 1 && document.querySelector(".signed-in")) whole.push("page is taller");
  return [...whole, ...found.map((one) => `${named(one)} by ${named(most(one))}`)];
}"""
_OPENERS = """() => [...document.querySelectorAll("main [aria-haspopup], .areas [aria-haspopup]")]
  .filter((one) => !one.disabled && one.checkVisibility({ visibilityProperty: true }))
  .map((one, at) => [(one.dataset.opener = String(at)),
    one.getAttribute("aria-label")?.split(":")[0] ?? one.textContent])"""
_OPEN_DETAILS = "() => document.querySelectorAll('main details:not([open])').forEach((one) => (one.open = true))"

Step = Callable[["Walk"], None]


@cache
def texts(language: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for file in sorted((FOLDER / "text" / language).glob("*.json")):
        found |= json.loads(file.read_text("utf-8"))
    return found


@dataclass
class Walk:
    """One person's way through the desk, in one theme, width and language. `faults`: where, and what."""

    visit: Visit
    language: str
    width: int
    theme: str
    places: Mapping[str, str]
    shots: Path | None
    only: list[str]
    faults: dict[str, list[str]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    forgiven: tuple[str, ...] = ()
    looked: int = 0

    @property
    def page(self) -> Page:
        return self.visit.page

    def say(self, key: str, **given: str) -> str:
        """What the console calls it."""
        found: str = texts(self.language)[key]
        for name, value in given.items():
            found = found.replace(f"{{{name}}}", value)
        return found

    def go(self, path: str) -> None:
        before = self.page.url
        self.visit.follow(path)
        gone = "([path, before]) => location.pathname === path || location.href !== before"  # or led on elsewhere
        self.page.wait_for_function(gone, arg=[path.partition("?")[0], before])
        self.visit.idle()

    def press(self, key: str, role: Any = "button", **given: str) -> None:
        self.page.get_by_role(role, name=self.say(key, **given), exact=role == "button").locator(
            "visible=true"
        ).first.click()

    def look(self, name: str) -> None:
        """Judge what is seen now."""
        self.visit.idle()
        place = f"{name} {self.theme} {self.width} {self.language}"
        seen = [*self.visit.faults(), *self.page.evaluate(_WIDER)]
        self.visit.forgive(*self.forgiven)
        found = [*seen, *self.visit.troubles]
        self.visit.troubles.clear()
        self.looked += 1
        if found:
            self.faults[place] = found
            print(place, *found, sep="\n    ", flush=True)
        if self.shots:
            self.page.screenshot(path=str(self.shots / f"{place.replace('/', '_').replace(' ', '~')}.png"))

    def scene(self, name: str, path: str, *steps: Step, forgive: str = "") -> None:
        """Go there, take the steps, look. What cannot be opened is a fault, and the walk goes on."""
        self.forgiven = (forgive,) if forgive else ()
        if self.only and not any(word in name for word in self.only):
            return
        try:
            self.go(path)
            for step in steps:
                step(self)
            self.look(name)
        except Exception as error:
            place = f"{name} {self.theme} {self.width} {self.language}"
            self.faults[place] = [f"{type(error).__name__}: {str(error).splitlines()[0]}"]
            print(place, *self.faults[place], sep="\n    ", flush=True)
        self.leave()

    def leave(self) -> None:
        """Close what is open. Nothing that was begun is kept."""
        for _ in range(4):
            if not self.page.locator("dialog[open], :popover-open:not(.toasts)").count():
                return
            self.page.keyboard.press("Escape")
            self.page.wait_for_timeout(30)

    def all_openers(self, name: str, path: str) -> None:
        """Whatever a button says that it opens; once for each name."""
        if self.only and not any(word in name for word in self.only):
            return
        self.go(path)
        for at, label in self.page.evaluate(_OPENERS):
            mark = f"{name.split()[0]} {label.strip()}"
            if mark not in self.seen:
                self.seen.add(mark)
                self.scene(f"{name} +{label.strip()[:24]}", path, reopen(at))


def reopen(at: str) -> Step:
    def step(walk: Walk) -> None:
        walk.page.evaluate("document.querySelectorAll('[data-opener]').forEach((one) => delete one.dataset.opener)")
        walk.page.evaluate(_OPENERS)
        walk.page.locator(f"[data-opener='{at}']").click()
        walk.page.locator("dialog[open], :popover-open:not(.toasts)").first.wait_for()

    return step


def click(key: str, role: str = "button", **given: str) -> Step:
    return lambda walk: walk.press(key, role, **given)


def words(key: str) -> Step:
    return lambda walk: walk.page.get_by_text(walk.say(key)).first.click()


def keys(*names: str) -> Step:
    def step(walk: Walk) -> None:
        for name in names:
            walk.page.keyboard.press(name)
            walk.page.wait_for_timeout(40)

    return step


def write(text: str) -> Step:
    def step(walk: Walk) -> None:
        walk.page.get_by_label(walk.say("composer.text")).fill(text)
        walk.page.keyboard.type(" ")
        walk.page.keyboard.press("Backspace")
        walk.page.wait_for_timeout(700)  # until the preview of it was asked for

    return step


def unfold(walk: Walk) -> None:
    walk.page.evaluate(_OPEN_DETAILS)


def menu(key: str) -> tuple[Step, Step]:
    """An entry of the conversation's menu."""
    return click("conversation.menu"), lambda walk: walk.press(key, "menuitem")


def no_network(walk: Walk) -> None:
    walk.visit.context.set_offline(True)
    walk.page.wait_for_timeout(300)


def everywhere(walk: Walk, person: str) -> None:
    places = walk.places
    for path in addresses(places["conversation"], places["contact"]):
        walk.scene(path.replace(places["conversation"], "ID").replace(places["contact"], "ID"), path)
    for path in (
        "/inbox/all",
        f"/inbox/all/{places['conversation']}",
        "/reports/sla",
        f"/contacts/{places['contact']}",
    ):
        walk.all_openers(path.replace(places["conversation"], "ID"), path)
    inbox(walk)
    conversations(walk)
    others(walk)
    for name in ("sla", "volume", "response-times", "backlog", "ratings", "chats"):
        walk.scene(f"/reports/{name}", f"/reports/{name}?days=28", unfold)
    editors(walk)
    if person == "mina":
        welcome(walk)
    offline(walk)


def inbox(walk: Walk) -> None:
    two = keys("j", "x", "j", "x")
    walk.scene("inbox several", "/inbox/all", two)
    for key in ("a", "s", "l", "p"):
        walk.scene(f"inbox several {key}", "/inbox/all", two, keys(key))
    walk.scene("inbox filtered", "/inbox/all?status=open&priority=urgent&q=wallet")
    walk.scene("inbox nothing", "/inbox/all?q=zzzzqqqq")
    for view in ("unassigned", "due", "mentions", "snoozed", "resolved", "spam", f"team-{NOBODY}"):
        walk.scene(f"inbox {view}", f"/inbox/{view}")


def conversations(walk: Walk) -> None:
    places = walk.places
    path = f"/conversations/{places['conversation']}"
    names = ("xiaoming", "ingrid", "sec", "mallory", "zoe", "olu", "taro")
    for name in [*(f"mail-{one}" for one in names), "chat", "x", "facebook"]:
        walk.scene(f"conversation {name}", f"/conversations/{places[name]}")
    for key in ("macro", "transfer", "hand_over", "merge", "split", "spam"):
        walk.scene(f"conversation dialog {key}", path, *menu(f"actions.{key}"))
    walk.scene("conversation dialog rename", path, *menu("conversation.rename"))
    walk.scene("composer note", path, click("composer.note"), write("For @Ben: please look. 请看一下。"))
    walk.scene("composer colleagues", path, click("composer.note"), write(""), lambda one: one.page.keyboard.type("@"))
    walk.scene("composer replies", path, write(""), lambda one: one.page.keyboard.type("/"))
    walk.scene("composer empty again", path, write(""), click("composer.answer"), write(""))
    for name in ("x", "facebook"):
        public = f"/conversations/{places[name]}"
        long = "We are looking into it, and it takes a while. " * 12
        walk.scene(f"composer {name} long", public, write(long))
        walk.scene(f"composer {name} personal", public, write("It is 0x52908400098527886E0F7030069857D2E4169EE7."))
        walk.scene(f"composer {name} empty again", public, write(""))


def others(walk: Walk) -> None:
    walk.scene("palette", "/inbox/all", keys("Control+k"))
    walk.scene("palette words", "/inbox/all", keys("Control+k"), lambda one: one.page.keyboard.type("re"))
    walk.scene("shortcuts", "/settings/account", keys("?"))
    walk.scene("search found", "/search?q=wallet")
    walk.scene("search nothing", "/search?q=zzzzqqqq")
    walk.scene("contacts found", "/contacts?q=alex")
    for path in (f"/contacts/{NOBODY}", f"/conversations/{NOBODY}", f"/settings/teams/{NOBODY}", "/settings/nothing"):
        walk.scene(f"gone {path.replace(NOBODY, 'ID')}", path, forgive="404 (Not Found)")


def editors(walk: Walk) -> None:
    known = set(texts("en"))
    for path in addresses("", ""):
        page = path.removeprefix("/settings/")
        if not path.startswith("/settings/") or "/" in page or f"settings.{page}" not in known:
            continue
        walk.scene(f"editor {page} new", f"{path}/new", unfold)
        if page in walk.places:
            walk.scene(f"editor {page} existing", f"{path}/{walk.places[page]}", unfold)
    agent = walk.visit.page.evaluate("fetch('/api/v1/me').then((one) => one.json()).then((one) => one.id)")
    walk.scene("editor agents existing", f"/settings/agents/{agent}", unfold)


def welcome(walk: Walk) -> None:
    for kind in ("mail", "chat"):
        walk.scene(f"welcome {kind}", "/welcome", words(f"wizard.{kind}"))


def offline(walk: Walk) -> None:
    walk.scene("offline", f"/conversations/{walk.places['conversation']}", no_network)
    walk.scene("offline elsewhere", "/reports/backlog", forgive="ERR_INTERNET_DISCONNECTED")
    walk.visit.context.set_offline(False)


def stranger(desk: Desk, walk: Walk) -> None:
    """Whoever is not signed in, as he comes in. Refusals are what the browser has to complain of here."""
    for name, path in (
        ("login", "/login"),
        ("forgotten", "/login"),
        ("wrong", "/login"),
        ("invited", "/#invitation=x"),
        ("reset", "/#password-reset=x"),
        ("first run", "/#first-run=x"),
        ("sso", "/#sso=sso_refused"),
    ):
        if walk.only and not any(word in name for word in walk.only):
            continue
        page = walk.visit.go(path).page
        if name == "wrong":
            page.locator("input[type=email]").fill("mina@wallet.example")
            page.locator("input[type=password]").fill("not this one at all")
            page.locator("button[type=submit]").click()
            page.wait_for_timeout(500)
        if name == "forgotten":
            page.get_by_text(walk.say("session.forgot")).click()
        walk.forgiven = ("401 (Unauthorized)", "404 (Not Found)", "429 (Too Many")
        walk.look(f"stranger {name}")


def walks(desk: Desk, arguments: argparse.Namespace, places: Mapping[str, str]) -> Iterator[Walk]:
    """A browser of its own for each: one that changes its colours while it is looked at tells of both."""
    people = [*arguments.people, ""]
    for language, width, theme, person in product(arguments.languages, arguments.widths, arguments.themes, people):
        device: dict[str, Any] = {"viewport": {"width": width, "height": HEIGHTS[width]}}
        device |= {"has_touch": True, "is_mobile": True} if width < 720 else {}
        path = "/inbox" if person else "/login"
        visit = desk.visit(path, as_=person, device=device, theme=theme, language=language)
        visit.page.set_default_timeout(5_000)
        if not person:
            visit.forgive("401 (Unauthorized)")
        walk = Walk(visit, language, width, theme, places, arguments.shots, arguments.only)
        everywhere(walk, person) if person else stranger(desk, walk)
        yield walk
        visit.context.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--languages", nargs="+", default=["en", "zh-CN", "zh-TW"])
    parser.add_argument("--widths", nargs="+", type=int, choices=HEIGHTS, default=list(HEIGHTS))
    parser.add_argument("--themes", nargs="+", choices=("light", "dark"), default=["light", "dark"])
    parser.add_argument("--people", nargs="*", default=["mina", "ben"])
    parser.add_argument("--only", nargs="+", default=[], help="words of what is looked at")
    parser.add_argument("--shots", type=Path, help="a folder for pictures of it all")
    arguments = parser.parse_args()
    looked, faults = 0, 0
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium() as browser,
        FakeGraph() as graph,
        FakeX() as x,
        opened(Path(folder), browser) as desk,
    ):
        places = furnish(desk, graph, x)
        for walk in walks(desk, arguments, places):
            looked, faults = looked + walk.looked, faults + len(walk.faults)
    print(f"{looked} looked at, {faults} with faults", flush=True)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
