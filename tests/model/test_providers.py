"""Provider profiles: found by file name, every number with its source."""

from __future__ import annotations

from dataclasses import fields

import pytest

from calisim.errors import UsageError
from calisim.model.providers import names, provider


@pytest.mark.parametrize("name", names())
def test_every_number_has_a_source(name):
    profile = provider(name)
    assert profile.name == name
    defaults = {"blocked_protocols", "public_by_default"}
    numbers = {field.name for field in fields(profile)} - {"name", "title", "sources"}
    assert numbers - defaults <= set(profile.sources) <= numbers
    assert all(profile.sources.values())


def test_aws_as_documented():
    aws = provider("aws")
    assert (aws.reserved_first, aws.reserved_last, aws.gateway) == (4, 1, 1)
    assert (aws.mtu, aws.internet_mtu, aws.routes_per_table) == (9001, 1500, 500)
    assert aws.source_dest_check and aws.security_groups and not aws.decrements_ttl


def test_an_unknown_provider_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="aws, linux, plain"):
        provider("gcp")
