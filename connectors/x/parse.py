"""A stored item, read by whoever knows its form. Imports nothing of the vendor's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.x import parse_aaa, parse_v2, parse_xaa
from helpdesk.channels import Inbound, RawInbound, Unreadable

_FORMS = {"v2": parse_v2.parse, "aaa": parse_aaa.parse, "xaa": parse_xaa.parse}


def parse(raw: RawInbound, config: Mapping[str, Any]) -> Inbound:
    """Raises Unreadable."""
    try:
        item = json.loads(raw.body)
        return _FORMS[item["form"]](item, config)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unreadable("the item is not one of the vendor's") from None
