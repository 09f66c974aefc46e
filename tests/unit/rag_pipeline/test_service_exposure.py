"""Which addresses others can reach, and that they need a key."""

import pytest
from pydantic import SecretStr

from rag_pipeline.errors import SettingsError
from rag_pipeline.service.exposure import check_exposure, is_loopback
from rag_pipeline.service.settings import ServiceSettings

OURS = ("127.0.0.1", "127.9.9.9", "::1", "localhost")
OTHERS = ("0.0.0.0", "::", "10.0.0.1", "example.org", "", "127.0.0.1.example.org", "localhost.")


@pytest.mark.parametrize("host", OURS)
def test_this_machine_needs_no_key(host: str) -> None:
    assert is_loopback(host)
    check_exposure(ServiceSettings(), host)


@pytest.mark.parametrize("host", OTHERS)
def test_whatever_others_may_reach_needs_one(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(SettingsError, match="RAG_SERVICE__API_KEY"):
        check_exposure(ServiceSettings(), host)
    check_exposure(ServiceSettings(api_key=SecretStr("a key of many letters")), host)
