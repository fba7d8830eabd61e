"""What the probes answer."""

from __future__ import annotations

from typing import Literal

from helpdesk.api.schemas.shared import Shown


class Well(Shown):
    status: Literal["ok"]
