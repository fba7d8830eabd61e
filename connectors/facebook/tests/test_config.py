"""Settings as people get them wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.facebook.config import InstagramConfig, MetaConfig

KEYS: dict[str, Any] = {"page_token": "EAAG0", "app_secret": "a0b1", "verify_token": "verify-me"}


@pytest.mark.parametrize("given", [{"page_id": "wallet"}, {"page_id": "17", "instagram_id": "@wallet"}])
def test_a_name_in_place_of_an_id_is_refused_in_words(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="give the numeric id, digits alone"):
        InstagramConfig.model_validate({"instagram_id": "18", **KEYS, **given})


def test_an_id_may_come_as_a_number_or_with_a_blank() -> None:
    read = MetaConfig.model_validate({**KEYS, "page_id": 17, "instagram_id": " 18 "})
    assert (read.page_id, read.instagram_id, MetaConfig(page_id="17", **KEYS).instagram_id) == ("17", "18", "")
