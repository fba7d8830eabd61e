"""Mail about mail: who was not reached, for good or not yet, and which of our messages it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from connectors.email.parse import parse
from helpdesk.channels import Automatic, Bounce, FailedRecipient, InboundMessage, RawInbound

OURS = "abcdefghijklmnopqrstuvwxyz234567abcd.aaaaaaaaaaaaaaaa@wallet.example"
RETURNED = f"Message-ID: <{OURS}>\r\nFrom: support@wallet.example\r\nTo: lost@far.example\r\nSubject: Your ticket\r\n"


def read(text: str) -> InboundMessage:
    data = text.replace("\r\n", "\n").replace("\n", "\r\n").encode()
    return parse(RawInbound("1", data, datetime(2026, 11, 2, tzinfo=UTC), {}), {"address": "support@wallet.example"})


def bounce(text: str) -> Bounce:
    message = read(text)
    assert message.automatic is Automatic.BOUNCE
    assert message.bounce is not None
    return message.bounce


def report(recipients: str, *, returned: str = "text/rfc822-headers") -> str:
    return (
        "From: Mail Delivery System <MAILER-DAEMON@mx.far.example>\nTo: support@wallet.example\nReturn-Path: <>\n"
        "Subject: Undelivered Mail Returned to Sender\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=r\n\n"
        "--r\nContent-Type: text/plain\n\nIt could not be delivered.\n"
        f"--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.far.example\n\n{recipients}\n"
        f"--r\nContent-Type: {returned}\n\n{RETURNED}\n--r--\n"
    )


def prose(body: str, *, sender: str = "MAILER-DAEMON@mx.far.example", subject: str = "failure notice") -> str:
    return f"From: {sender}\nTo: support@wallet.example\nSubject: {subject}\n\n{body}"


class TestReports:
    def test_a_failed_recipient_is_named_with_its_status(self) -> None:
        found = bounce(
            report(
                "Final-Recipient: rfc822; lost@far.example\nAction: failed\nStatus: 5.1.1\n"
                "Diagnostic-Code: smtp; 550 5.1.1 <lost@far.example>: user\n unknown"
            )
        )
        assert found.recipients == (
            FailedRecipient("lost@far.example", True, "5.1.1", "550 5.1.1 <lost@far.example>: user unknown"),
        )
        assert found.original_ids == (OURS,)

    @pytest.mark.parametrize(
        "kind", ["message/rfc822", "message/rfc822-headers", "message/global", "text/rfc822-headers"]
    )
    def test_the_id_is_found_in_whatever_came_back(self, kind: str) -> None:
        found = bounce(report("Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.0.0", returned=kind))
        assert found.original_ids == (OURS,)

    def test_the_address_that_we_wrote_to_is_preferred_to_where_it_led(self) -> None:
        found = bounce(
            report(
                "Original-Recipient: rfc822;lost@far.example\nFinal-Recipient: rfc822; box7@inner.example\n"
                "Action: failed\nStatus: 5.2.2"
            )
        )
        assert [each.address for each in found.recipients] == ["lost@far.example"]

    def test_a_delay_is_not_permanent(self) -> None:
        [found] = bounce(report("Final-Recipient: rfc822; a@b.example\nAction: delayed\nStatus: 4.4.1")).recipients
        assert (found.permanent, found.status) == (False, "4.4.1")

    def test_giving_up_after_days_is_final_whatever_the_status_says(self) -> None:
        [found] = bounce(report("Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 4.4.7")).recipients
        assert found.permanent

    def test_each_of_several_recipients_has_its_own_fate(self) -> None:
        found = bounce(
            report(
                "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\n\n"
                "Final-Recipient: rfc822; c@d.example\nAction: delivered\nStatus: 2.0.0\n\n"
                "Final-Recipient: rfc822; e@f.example\nAction: delayed\nStatus: 4.2.2"
            )
        )
        assert [(each.address, each.permanent) for each in found.recipients] == [
            ("a@b.example", True),
            ("e@f.example", False),
        ]

    def test_a_report_of_success_is_a_delivery_notice(self) -> None:
        message = read(report("Final-Recipient: rfc822; a@b.example\nAction: relayed\nStatus: 2.0.0"))
        assert (message.automatic, message.bounce) == (Automatic.DELIVERY_NOTICE, None)

    def test_a_read_receipt_is_a_delivery_notice(self) -> None:
        text = (
            "From: mei@customer.example\nSubject: Read: hello\n"
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=r\n\n"
            "--r\n\nYour message was read.\n--r\nContent-Type: message/disposition-notification\n\n"
            "Final-Recipient: rfc822; mei@customer.example\n"
            "Disposition: manual-action/MDN-sent-manually; displayed\n--r--\n"
        )
        assert read(text).automatic is Automatic.DELIVERY_NOTICE

    def test_a_filter_that_rejects_by_receipt_is_a_bounce(self) -> None:
        text = (
            "From: mei@customer.example\nSubject: Automatically rejected mail\n"
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=r\n\n"
            "--r\n\nYour message to <mei@customer.example> was automatically rejected: quota exceeded\n"
            "--r\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; mei@customer.example\n"
            "Disposition: automatic-action/MDN-sent-automatically; deleted\n--r--\n"
        )
        assert [each.address for each in bounce(text).recipients] == ["mei@customer.example"]


class TestProse:
    @pytest.mark.parametrize(
        ("body", "wanted"),
        [
            (
                "I was not able to deliver your message to the following addresses.\n\n<lost@far.example>:\n"
                "Sorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\n"
                + RETURNED,
                [("lost@far.example", "5.1.1")],
            ),
            (
                "A message that you sent could not be delivered. The following address(es) failed:\n\n"
                "  lost@far.example\n"
                "    host mx.far.example [192.0.2.1]: 552 5.2.2 Mailbox full\n\n"
                "------ This is a copy of the message, including all the headers. ------\n\nReceived: from x\n"
                + RETURNED,
                [("lost@far.example", "5.2.2")],
            ),
            (
                (
                    "For help, contact <postmaster@mx.far.example>\n\n"
                    "<one@far.example>: unknown user\n\n<two@far.example>: 550 no\n"
                ),
                [("one@far.example", ""), ("two@far.example", "5.0.0")],
            ),
            (
                "Delivery failed 20 attempts: lost@far.example\n\nOriginal message follows.\n",
                [("lost@far.example", "")],
            ),
            ("Unable to deliver your mail.\n554 <lost@far.example>... Host unknown\n", [("lost@far.example", "5.0.0")]),
            ("Your message could not be delivered.\nRecipient: [SMTP:lost@far.example]\n", [("lost@far.example", "")]),
            ("邮件无法投递到您指定的地址。\n\n<lost@far.example>:\n\n--- 附件中是原信件\n", [("lost@far.example", "")]),
        ],
        ids=["qmail", "exim", "postfix", "imail", "sendmail", "mailenable", "chinese"],
    )
    def test_the_failed_address_is_found(self, body: str, wanted: list[tuple[str, str]]) -> None:
        assert [(each.address, each.status) for each in bounce(prose(body)).recipients] == wanted
        assert all(each.permanent for each in bounce(prose(body)).recipients)

    def test_the_id_is_found_in_the_pasted_original(self) -> None:
        body = "Unable to deliver.\n\n<lost@far.example>:\nno such user\n\n--- Original message follows.\n\n" + RETURNED
        assert bounce(prose(body)).original_ids == (OURS,)

    def test_who_was_written_to_stands_in_when_nobody_is_named(self) -> None:
        body = "Your message could not be delivered.\n\n--- Original message follows.\n\nReceived: from a\n" + RETURNED
        assert [each.address for each in bounce(prose(body)).recipients] == ["lost@far.example"]

    def test_a_warning_is_not_permanent(self) -> None:
        body = "THIS IS A WARNING MESSAGE ONLY.\n\nDelivery to this recipient has been delayed:\n\n  slow@far.example\n"
        [found] = bounce(prose(body, subject="Delivery Status Notification (Delay)")).recipients
        assert (found.address, found.permanent) == ("slow@far.example", False)

    def test_the_header_of_exim_names_the_failed_one(self) -> None:
        body = "X-Failed-Recipients: lost@far.example, gone@far.example\n\nIt failed: 550 5.7.1 no\n"
        text = f"From: x@far.example\nSubject: Mail delivery failed\n{body}"
        assert [each.address for each in bounce(text).recipients] == ["lost@far.example", "gone@far.example"]

    def test_a_mail_system_without_an_address_is_not_an_impostor(self) -> None:
        message = read(prose("Could not be delivered to\n\n  lost@far.example\n", sender="<>"))
        assert message.automatic is Automatic.BOUNCE
        assert message.suspect == ()


class TestPeople:
    @pytest.mark.parametrize(
        ("subject", "body"),
        [
            (
                "Transfer failed",
                "I was unable to send my coins. The following address failed: 0x12. Contact me at mei@x.example",
            ),
            ("Fwd: Undelivered Mail Returned to Sender", "What does this mean?\n\n<lost@far.example>: unknown user\n"),
            ("Re: Delivery problem", "It could not be delivered, you say?\n\n> to lost@far.example\n"),
            ("My card was returned", "The parcel was returned to sender. Write me at\nmei@customer.example\n"),
            ("Undelivered mail", "Hello, since Monday I get no mail from you any more. Was my account closed?"),
            ("提现失败", "我的提现无法发送，请帮忙"),
        ],
    )
    def test_a_person_who_writes_of_failures_is_still_a_person(self, subject: str, body: str) -> None:
        message = read(prose(body, sender="Mei Chen <mei@customer.example>", subject=subject))
        assert (message.automatic, message.bounce) == (None, None)

    def test_an_automatic_reply_from_the_null_sender_is_no_bounce(self) -> None:
        text = (
            "Return-Path: <>\nFrom: Mei <mei@customer.example>\nAuto-Submitted: auto-replied\n"
            "Subject: Automatic reply: Hi\n\n"
            "This mailbox is no longer read. Your message was not delivered to me; write to lee@customer.example\n"
        )
        assert read(text).automatic is Automatic.AUTO_REPLY


class TestComplaints:
    def test_a_complaint_names_the_message_and_is_no_failure(self) -> None:
        text = (
            "From: fbl@far.example\nSubject: Spam report\n"
            "Content-Type: multipart/report; report-type=feedback-report; boundary=r\n\n"
            "--r\n\nA complaint.\n--r\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nVersion: 1\n"
            f"Original-Rcpt-To: <angry@far.example>\n\n--r\nContent-Type: message/rfc822\n\n{RETURNED}\nHello.\n--r--\n"
        )
        message = read(text)
        assert message.automatic is Automatic.FEEDBACK
        assert message.bounce == Bounce((FailedRecipient("angry@far.example", False, "", "abuse"),), (OURS,))

    @pytest.mark.parametrize(
        ("kind", "key", "automatic"),
        [
            ("Bounce", "bouncedRecipients", Automatic.BOUNCE),
            ("Complaint", "complainedRecipients", Automatic.FEEDBACK),
            ("Delivery", "recipients", Automatic.DELIVERY_NOTICE),
        ],
    )
    def test_notifications_in_json(self, kind: str, key: str, automatic: Automatic) -> None:
        told = {
            "notificationType": kind,
            kind.lower(): {"bounceType": "Permanent", key: [{"emailAddress": "lost@far.example", "status": "5.1.1"}]},
            "mail": {"messageId": "0100", "headers": [{"name": "Message-ID", "value": f"<{OURS}>"}]},
        }
        body = json.dumps({"Type": "Notification", "Message": json.dumps(told)})
        message = read(f"From: no-reply@sns.cloud.example\nSubject: Notification\n\n{body}\n")
        assert message.automatic is automatic
        if automatic is Automatic.BOUNCE:
            assert message.bounce == Bounce((FailedRecipient("lost@far.example", True, "5.1.1", ""),), (OURS,))
