"""What stands in the vendor's JSON where an object or a list of them should: sometimes anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def thing(value: object) -> Mapping[str, Any]:
    """An object, empty where it is none."""
    return value if isinstance(value, dict) else {}


def things(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; whatever else stands in it is passed over."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
