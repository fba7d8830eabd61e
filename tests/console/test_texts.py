"""What the console says: the same in each language, nothing missing and nothing left over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpdesk.api.console import FOLDER

LANGUAGES = {"en": {"one", "other"}, "zh-CN": {"other"}, "zh-TW": {"other"}}
"""Each with the plural forms that Intl.PluralRules knows of it."""

Texts = dict[str, str | dict[str, str]]
_LINE = re.compile(r'  "([^"]+)": (?:".*"|{.*}),?')
_USED = re.compile(r'\b(?:t|tn|has)\(\s*"([a-z_]+(?:\.[\w-]+)+)"')
_CHOSEN = re.compile(r'\bt\(\s*[^"(),]+\? "([^"]+)" : "([^"]+)"')
_SAID = re.compile(r'\bsay\([^()]*(?:\([^()]*\))?[^()]*, "([a-z_.]+)"\)')
_KEY = re.compile(r'^  \["?[^\n]*?, "([a-z]+\.[\w.]+)"\],$', re.MULTILINE)
_HOLE = re.compile(r"\{(\w+)\}")


def texts(language: str) -> Texts:
    """All catalogues of a language; one text a line, so that two who write texts do not meet in one."""
    found: Texts = {}
    for path in sorted((FOLDER / "text" / language).iterdir()):
        written = path.read_text("utf-8")
        lines = written.splitlines()
        assert (path.suffix, lines[0], lines[-1]) == (".json", "{", "}"), path
        for line in lines[1:-1]:
            match = _LINE.fullmatch(line)
            assert match, f"{path.name}: {line}"
            assert match[1] not in found, f"{match[1]} stands twice"
            found[match[1]] = ""
        catalogue: Texts = json.loads(written)
        assert len(catalogue) == len(lines) - 2, path
        found |= catalogue
    return found


ALL = {language: texts(language) for language in LANGUAGES}


def forms(text: str | dict[str, str]) -> Iterator[str]:
    yield from text.values() if isinstance(text, dict) else (text,)


def modules() -> Iterator[tuple[Path, str]]:
    for path in FOLDER.rglob("*.js"):
        yield path, path.read_text("utf-8")


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_language_has_the_same_texts_with_the_same_holes(language: str) -> None:
    assert ALL[language].keys() == ALL["en"].keys()
    for key, text in ALL[language].items():
        english = ALL["en"][key]
        assert isinstance(text, dict) == isinstance(english, dict), key
        if isinstance(text, dict):
            assert set(text) == LANGUAGES[language], key
        holes = {frozenset(_HOLE.findall(one)) for one in (*forms(text), *forms(english))}
        assert len(holes) == 1, f"{key}: {holes}"
        assert all(one.strip() for one in forms(text)), key


def test_every_catalogue_has_its_twins() -> None:
    names = {language: {path.name for path in (FOLDER / "text" / language).iterdir()} for language in LANGUAGES}
    assert names["en"] == names["zh-CN"] == names["zh-TW"]


def test_what_the_code_says_is_there_and_what_is_there_is_said() -> None:
    said: set[str] = set()
    prefixes: set[str] = set()
    for _, code in modules():
        said.update(_USED.findall(code), *_CHOSEN.findall(code), _KEY.findall(code))
        prefixes.update(_SAID.findall(code))
    prefixes.add("problem")  # by the slug of what the API refuses
    missing = {key for key in said if key not in ALL["en"]}
    idle = {key for key in ALL["en"] if key not in said and key.rpartition(".")[0] not in prefixes}
    assert (missing, idle) == (set(), set())
    assert {one for one in prefixes if not any(key.startswith(f"{one}.") for key in ALL["en"])} == set()


def test_chinese_is_written_in_chinese_signs() -> None:
    """Half-width commas, colons and question marks beside a Chinese character are slips of the keyboard."""
    slips = re.compile(r"[\u4e00-\u9fff][,:;?!]|[,:;?!][\u4e00-\u9fff]")
    found = [key for one in ("zh-CN", "zh-TW") for key, text in ALL[one].items() if any(map(slips.search, forms(text)))]
    assert found == []


def test_each_script_keeps_to_itself() -> None:
    """Not a dictionary, only what tells one script from the other at a glance."""
    simplified, traditional = "们个这为发设无时务会话标题头关闭邮", "們個這為發設無時務會話標題頭關閉郵"
    for language, foreign in (("zh-CN", traditional), ("zh-TW", simplified)):
        wrong = set(foreign) - set(simplified if language == "zh-CN" else traditional)
        found = [key for key, text in ALL[language].items() if any(wrong & set(one) for one in forms(text))]
        assert found == [], language


def test_the_table_of_shortcuts_names_keys_that_are_there_and_all_that_do_something_by_themselves() -> None:
    page = (FOLDER.parent.parent / "docs" / "console.md").read_text(encoding="utf-8")
    table = page.partition("| key | does |")[2].partition("\n\n")[0]
    cells = "".join(row.split("|")[1] for row in table.splitlines() if row.count("|") > 2)
    told = set(re.findall(r"`([^`]+)`", cells.replace("`-`", "-").replace("Ctrl", "Mod")))
    code = "\n".join(body for _, body in modules())
    assert {"j", "Mod-Enter"} <= told
    assert not [key for key in told if f'"{key}"' not in code]
    offered = set(re.findall(r'\bkeys: "([^"]+)"', code))
    assert offered - {"Escape"} <= told
