"""A desk as it looks on a busy day, for whoever walks through the console: every channel, every setting, every state.

    with opened(folder, browser) as desk, FakeGraph() as graph, FakeX() as x:
        places = furnish(desk, graph, x)          # what is where: the id of each thing, by its name

Names are long or Chinese, texts run over many lines and have words that do not break: what a screen does with these is
what one wants to see.
"""

from __future__ import annotations

import smtplib
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import httpx

from connectors.facebook.tests import signed
from connectors.facebook.tests.fake import PAGE, SECRET, TOKEN, VERIFY, FakeGraph
from connectors.x.tests.fake import FakeX
from tests.console.browser import Desk

PIXELS = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAAAwCAIAAAAuKetIAAAAVElEQVR42u3PQREAAAgDILV/zzi0hR9cSNV0kqRJkiRJkiRJkiRJ"
    "kiRJkiRJkiRJkiRJkiRJkiRJkiRJkiRJkiRJkiRJkiRJkiRJkiRJkiRJkiRJkt4tMMwBYZ4Ca0AAAAAASUVORK5CYII="
)
LONG = "Averyveryverylongwordwithoutanyspace" * 4
STORY = (
    "Hello,\n\nI sent 0.52 ETH from my wallet to an exchange three days ago and it is still pending. The explorer says "
    f"that it was dropped and replaced, but my balance is lower by the whole amount.\n\n{LONG}\n\n"
    "https://explorer.example/tx/0x88df016429689c079f3b2f6ad39fa052532c56795b733da78a91ebe6a713944b?view=all&more=1\n\n"
    "Can you please tell me what to do?\n\nBest,\nAlexandra\n\n"
    "On Monday Support wrote:\n> Dear Alexandra,\n> we have looked into it.\n>> It was never so late before.\n"
)
MAILS = (
    ("Alexandra Konstantinopoulou-Featherstonehaugh", "alex", "Withdrawal of 0.52 ETH is pending since Friday", STORY),
    (
        "王小明",
        "xiaoming",
        "提现三天了还没有到账，请尽快处理，我已经联系过交易所了",
        "您好，我三天前提了币，到现在还没有到账。",
    ),
    ("陳美玲", "meiling", "助記詞遺失，錢包還能找回來嗎？", "你好，我換了手機，助記詞找不到了。請問還有辦法嗎？"),
    ("Bob", "bob", "?", "hi"),
    ("Ingrid Sørensen", "ingrid", "Re: Fwd: Re: Invoice for the hardware wallet", "Where is my invoice?\n" * 30),
    ("山田太郎", "taro", "ウォレットにログインできません", "アプリを更新してからログインできません。"),
    ("Security Researcher", "sec", f"Report {LONG}", "I have found something. " * 40),
    ("Mallory", "mallory", "You have won 10 BTC", "Click here now: http://prize.example/win"),
    ("Priya Raghunathan", "priya", "Swap failed but the fee was taken", "It failed with an error."),
    ("Oluwaseun Adeyemi", "olu", "Change of my e-mail address", "Please change it to olu@new.example."),
    ("李雷", "lilei", "怎么开启硬件钱包的双重验证？", "请问怎么开启？"),
    ("Zoë", "zoe", "Thank you!", "It has arrived, thank you so much."),
)
WEEK: list[Any] = [[["09:00", "12:30"], ["13:30", "18:00"]] for _ in range(5)] + [[["10:00", "14:00"]], []]
ALL_CLOCKS = {"first_response": 14_400, "next_response": 28_800, "resolution": 259_200}


def letter(
    desk: Desk, sender: tuple[str, str], subject: str, text: str, *files: tuple[str, bytes], html: str = ""
) -> None:
    """A customer's mail at the door."""
    name, word = sender
    found = EmailMessage()
    found["From"], found["To"] = f"{name} <{word}@customer.example>", "support@wallet.example"
    found["Subject"], found["Message-ID"] = subject, f"<{word}.{abs(hash((subject, text)))}@customer.example>"
    found.set_content(text)
    if html:
        found.add_alternative(html, subtype="html")
    for filename, content in files:
        kind = ("image", "png") if filename.endswith("png") else ("application", "pdf")
        found.add_attachment(content, maintype=kind[0], subtype=kind[1], filename=filename)
    with smtplib.SMTP("127.0.0.1", desk.stack.door) as door:
        door.send_message(found)


def furnish(desk: Desk, graph: FakeGraph, x: FakeX) -> dict[str, str]:
    """Everything, and the id of each by its name."""
    found = settings(desk)
    mails(desk)
    found |= talks(desk, graph, x, found)
    work(desk, found)
    return found


def mails(desk: Desk) -> None:
    for name, word, subject, text in MAILS:
        files = [("screenshot.png", PIXELS), (f"statement-{'of-all-transactions-' * 4}2026.pdf", b"%PDF-1.4 nothing")]
        html = f"<p>{text.replace(chr(10), '<br>')}</p><blockquote type=cite>Earlier words</blockquote>"
        letter(
            desk,
            (name, word),
            subject,
            text,
            *(files if word in ("alex", "xiaoming") else ()),
            html=html if word in ("alex", "ingrid") else "",
        )
    desk.stack.until("all mail is filed", lambda: len(desk.stack.every("/conversations")) >= len(MAILS))


def settings(desk: Desk) -> dict[str, str]:
    """Two of each at most, one of them long."""
    found: dict[str, str] = {}
    agents = list(desk.ids.values())

    def add(name_: str, path: str, **body: Any) -> str:
        found[name_] = desk.made(path, body)["id"]
        return found[name_]

    leads = {"member_ids": agents, "lead_ids": [desk.ids["sol"]]}
    team = add("teams", "/teams", name="Withdrawals, deposits and everything that is late", description="二线", **leads)
    hours = add(
        "hours",
        "/business-hours",
        name="Taipei and Shanghai office",
        zone="Asia/Taipei",
        weekly=WEEK,
        holidays=[{"date": "2026-12-25", "name": "Christmas"}, {"date": "2027-01-01", "name": "元旦"}],
    )
    add(
        "policies",
        "/sla-policies",
        name="Urgent ones first",
        priorities=["urgent"],
        clock="calendar",
        targets={"first_response": 60, "next_response": 120, "resolution": 600},
        warnings=[{"fraction": 0.5}],
    )
    add(
        "policies2",
        "/sla-policies",
        name="优先客户的承诺",
        clock="business",
        business_hours_id=hours,
        targets=ALL_CLOCKS,
        warnings=[{"before": 1800}],
        position=10,
    )
    shifts = [{"agent_ids": agents[:2], "weekly": WEEK}]
    add("duty", "/duty", name="Evenings and weekends", zone="Asia/Taipei", team_id=team, shifts=shifts)
    alert = {"do": "alert", "who": ["assignee", "lead"], "severity": "critical", "acknowledge_seconds": 600}
    steps = [{"after": 0, "actions": [alert]}, {"after": 1800, "actions": [{"do": "priority", "to": "urgent"}]}]
    add("escalation", "/escalation-rules", name="Overdue withdrawals call the lead", anchor="breach", steps=steps)
    route = {"kind": "slack", "enabled": False, "address": {"url": "https://hooks.slack.com/services/T0/B0/secret"}}
    add("alert-routes", "/alert-routes", name="#desk-alerts", **route)
    condition = {
        "any": [
            {"field": "message.text", "op": "contains_any", "value": ["seed phrase", "助记词"]},
            {"field": "priority", "op": "eq", "value": "urgent"},
        ]
    }
    add(
        "rules",
        "/automation-rules",
        name="Seed phrases are never asked for",
        when={"events": ["message.received"]},
        do=[{"do": "tag", "add": ["security"]}, {"do": "note", "text": "Never ask for a seed phrase."}],
        **{"if": condition},
    )
    add(
        "webhooks",
        "/webhooks",
        name="Data warehouse",
        url="https://hooks.example/desk",
        events=["conversation.created", "message.received", "sla.breached"],
    )
    add("tokens", "/tokens", name="Nightly export", expires_at=later(days=90))
    texts = {"en": "Hello {{contact.first_name}},\n\nit is on its way.", "zh-CN": "您好，正在处理。"}
    add("canned", "/canned-responses", shared="everybody", shortcut="on-its-way", title="It is on its way", texts=texts)
    actions = [{"do": "priority", "to": "high"}, {"do": "assign", "agent_id": "me"}]
    add("macros", "/macros", shared="everybody", name="Take it and hurry", description="高优先级", actions=actions)
    filters = {
        "all": [{"field": "priority", "op": "eq", "value": "urgent"}, {"field": "status", "op": "eq", "value": "open"}]
    }
    add("views", "/views", shared="everybody", name="Urgent and waiting for very long already", filter=filters)
    add(
        "fields",
        "/custom-fields",
        subject="conversation",
        key="network",
        title="Network",
        type="choice",
        options=["Ethereum", "比特币", "Solana"],
    )
    add("fields2", "/custom-fields", subject="contact", key="tier", title="Tier of the customer", type="text")
    for name in ("security", "withdrawal", "高净值客户", "a rather long name of a tag that nobody can read"):
        found["tags"] = desk.made("/tags", {"name": name})["id"]
    provider = {
        "issuer": "https://login.example",
        "client_id": "desk",
        "secret": "s" * 20,
        "domains": ["wallet.example"],
    }
    answer = desk.stack.http.post("/sso-providers", json={"name": "Wallet ID", **provider})
    if answer.status_code == 201:  # needs its issuer within reach
        found["sso"] = answer.json()["id"]
    return found


def talks(desk: Desk, graph: FakeGraph, x: FakeX, found: dict[str, str]) -> dict[str, str]:
    """A chat, a Page and an account, and what was said there."""
    base = desk.stack.url
    chat = desk.made("/inboxes", {"channel": "chat", "name": "Website", "settings": {}, "rating": "on"})["id"]
    secrets = {"page_token": TOKEN, "app_secret": SECRET, "verify_token": VERIFY}
    page = {"page_id": PAGE, "api_url": graph.origin, **secrets}
    page_id = desk.made("/inboxes", {"channel": "facebook", "name": "Harbor Wallet 粉丝专页", "settings": page})["id"]
    account = {**x.tokens.oauth1, "api_url": x.origin, "username": "desk", "poll_seconds": 1}
    desk.made("/inboxes", {"channel": "x", "name": "Wallet on X", "settings": account})
    graph.names = {"3383290475046708": "Mina Bäcker"}
    comment = graph.comments(graph.posts("We have a new version"), "3383290475046708", "Where is my withdrawal? 三天了")
    for lists in (
        {"changes": [comment]},
        {"messaging": [graph.writes("3383290475046709", "Hello, is anybody there?")]},
    ):
        body = signed.written(signed.webhook("page", PAGE, time=1_795_000_000_000, **lists))
        headers = {"X-Hub-Signature-256": signed.signature(SECRET, body)}
        httpx.post(f"{base}/channels/facebook/{page_id}/webhook", content=body, headers=headers, trust_env=False)
    x.mention("ann", "@desk where is my withdrawal? It has been three days!")
    x.mention("xiaowang", "@desk 我的提现在哪里？")
    with httpx.Client(base_url=f"{base}/channels/chat", trust_env=False) as visitor:
        session = visitor.post(f"/{chat}/sessions", json={"language": "zh-CN"}).json()
        visitor.headers["Authorization"] = f"Bearer {session['token']}"
        for number, text in enumerate(
            ("你好，有人在吗？", "My transfer is stuck.", "0x52908400098527886E0F7030069857D2E4169EE7")
        ):
            assert visitor.post("/messages", json={"client_id": str(number), "text": text}).status_code == 201
        one = desk.stack.until("a chat", lambda: desk.stack.conversations(channel="chat"))[0]
        desk.stack.reply(one["id"], "您好，我来看一下。", key="chat-1")
        desk.stack.change(one["id"], status="resolved")
        visitor.post("/rating", json={"score": 2, "comment": "很慢，等了三天才有人回答。" * 3})
        visitor.post("/messages", json={"client_id": "again", "text": "Are you still there?"})
    desk.stack.until("posts", lambda: len(desk.stack.conversations(channel="x")) >= 2)
    desk.stack.until("comments", lambda: len(desk.stack.conversations(channel="facebook")) >= 2)
    social = {name: desk.stack.conversations(channel=name)[0]["id"] for name in ("x", "facebook")}
    return {"inboxes": chat, "page": page_id, "chat": one["id"], **social}


def work(desk: Desk, found: dict[str, str]) -> None:
    """What colleagues have done: answers, notes, states, and what is late."""
    stack = desk.stack
    mail = {one["contact"]["handle"].partition("@")[0]: one for one in stack.every("/conversations", channel="email")}
    ids = {word: one["id"] for word, one in mail.items()}
    found["conversation"], found["contact"] = ids["alex"], mail["alex"]["contact"]["id"]
    found |= {f"mail-{word}": one for word, one in ids.items()}
    stack.change(ids["alex"], assignee_id=desk.ids["mina"], priority="urgent", tags=["withdrawal", "高净值客户"])
    stack.reply(ids["alex"], "Dear Alexandra,\n\nwe are looking into it.", key="a1")
    note = f"@Ben please look at the node. {LONG} 这一笔需要财务确认。"
    stack.reply(ids["alex"], note, key="a2", private=True, mentions=[desk.ids["ben"], desk.ids["mina"]])
    letter(desk, MAILS[0][:2], f"Re: {MAILS[0][2]}", "Any news? 😀")
    stack.change(ids["xiaoming"], assignee_id=desk.ids["ben"], team_id=found["teams"], priority="high")
    stack.reply(ids["xiaoming"], "您好，我们正在处理，预计今天下午会有结果。", key="x1", status="pending")
    stack.change(ids["ingrid"], status="snoozed", snoozed_until=later(hours=30))
    for word in ("zoe", "lilei"):
        stack.reply(ids[word], "Thank you.", key=word, status="resolved")
    stack.change(ids["olu"], status="closed")
    etag = stack.http.get(f"/conversations/{ids['mallory']}").headers["ETag"]
    stack.http.post(f"/conversations/{ids['mallory']}/spam", json={}, headers={"If-Match": etag})
    for word in ("sec", "priya"):
        stack.change(ids[word], priority="urgent", tags=["security"])


def later(**span: int) -> str:
    return (datetime.now(UTC) + timedelta(**span)).isoformat().replace("+00:00", "Z")
