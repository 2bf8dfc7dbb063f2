"""Fixtures of more than one file of these tests."""

import pytest

from tests.support.leases import Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()
