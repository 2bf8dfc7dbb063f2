"""Meanings of Redis's errors here: worth trying again, or who must do what."""

import re

import redis.exceptions as vendor

from telefold.schemas.errors import StoreError, StoreFull, StoreRefused, StoreUnavailable

# Of errors without a class of their own, and of those from within a script, which older servers put into a sentence.
_RETRIABLE_CODES = re.compile(r"\b(LOADING|BUSY|READONLY|MISCONF|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|TRYAGAIN)\b")
_FULL_CODE = re.compile(r"\bOOM\b")
_DENIED_CODES = re.compile(r"\b(NOAUTH|WRONGPASS|NOPERM)\b|invalid password|invalid username", re.IGNORECASE)
_DENIED = (vendor.AuthenticationError, vendor.AuthorizationError, vendor.NoPermissionError)
_PASSING = (
    vendor.ConnectionError,
    vendor.TimeoutError,
    vendor.ReadOnlyError,
    vendor.ClusterDownError,
    vendor.TryAgainError,
)
_SETTING = "telefold.views/redis.url"


def translated(error: vendor.RedisError, key: str = "tf:") -> StoreError:
    """The StoreUnavailable, StoreFull or StoreRefused that `error` stands for; what is refused is named by `key`."""
    message = str(error)
    if isinstance(error, _DENIED) or _DENIED_CODES.search(message):
        return StoreRefused(
            f"Redis denies access ({message}): correct the user and password in {_SETTING} or redis.secret."
        )
    if isinstance(error, vendor.OutOfMemoryError) or _FULL_CODE.search(message):
        return StoreFull(
            f"Redis is full ({message}): give it more memory, or let rows expire sooner, and run `telefold refill`."
        )
    if isinstance(error, _PASSING) or _RETRIABLE_CODES.search(message):
        return StoreUnavailable(
            f"Redis cannot serve now ({message}): start it or wait until it does, or correct {_SETTING}."
        )
    if "WRONGTYPE" in message:
        return StoreRefused(
            f"Redis holds something else under {key} or one of its rows: name a database of its own in {_SETTING}."
        )
    return StoreRefused(
        f"Redis refuses the request on {key} ({message}): check that {_SETTING} names a Redis 6 or newer."
    )
