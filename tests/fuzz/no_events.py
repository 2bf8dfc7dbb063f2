"""Records that are no events, or not whole: garbage, what is damaged, and what lies of its lengths."""

from typing import Any

from telefold.schemas.codec import HEADER_BYTES, MARKER, encode
from tests.fuzz.draw import MOST_BYTES, Draw, Made
from tests.fuzz.texts import size, text


def garbage(draw: Draw) -> Made:
    chance = draw.chance
    most = MOST_BYTES - 1_100 if chance.random() < 0.05 else 5_000
    data = chance.choice(
        (
            lambda: b"",
            lambda: chance.randbytes(size(chance, most)),
            lambda: b"\0" * size(chance, most),
            lambda: MARKER + chance.randbytes(size(chance, 40)),
            lambda: encode(draw.usual())[:HEADER_BYTES] + chance.randbytes(size(chance, most)),
            lambda: b"\xf3\x89\x9a\xc2" + chance.randbytes(size(chance, 200)),
            lambda: text(chance).encode(),
            lambda: b'{"device_id":"calm-01","metrics":{"temperature":1e9}}',
        )
    )()
    return data, chance.choice(("calm-01", "garbage", text(chance)))


def damaged(draw: Draw) -> Made:
    """An event cut off, with bits turned over, with bytes put in or behind it; its device is never heard of again."""
    chance = draw.chance
    device = f"damaged-{chance.getrandbits(64):016x}"
    whole = bytearray(draw.sent(draw.of("damaged", device_id=device))[0])
    match chance.randrange(4):
        case 0:
            del whole[chance.randrange(len(whole)) :]
        case 1:
            for _ in range(chance.choice((1, 1, 3, 20))):
                whole[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        case 2:
            at = chance.randrange(len(whole))
            whole[at:at] = chance.randbytes(size(chance, 50))
        case _:
            whole += chance.randbytes(size(chance, 50))
    return bytes(whole), device


def lying(draw: Draw) -> Made:
    """Avro lengths and counts that promise more than there is, or less than nothing."""
    head, amount = (
        encode(draw.usual())[:HEADER_BYTES],
        draw.chance.choice((-1, 2**31 - 1, 2**31, 2**62, -(2**62), 10**7)),
    )
    identity = _avro_text(draw.identity)
    body = draw.chance.choice(
        (
            _zigzag(amount),
            identity + _zigzag(amount),
            identity
            + _avro_text("lying")
            + _avro_text("telemetry")
            + _zigzag(draw.now * 1_000)
            + _zigzag(1)
            + _zigzag(amount),
            identity + b"\xff" * 40,
        )
    )
    return head + body, "lying"


def _zigzag(number: int) -> bytes:
    left, found = (number << 1) ^ (number >> 63), bytearray()
    left &= 2**64 - 1
    while left > 0x7F:
        found.append(0x80 | left & 0x7F)
        left >>= 7
    return bytes(found) + bytes([left])


def _avro_text(said: str) -> bytes:
    return _zigzag(len(said.encode())) + said.encode()


_NO_TEXT = (b"\xed\xa0\x80", b"\xc0\x80", b"\xff\xfe\xfd", b"\xf5\x80\x80", b"\xe2\x82\x01", b"\x80\x80\x80")
_PLACEHOLDER = "&&&"


def no_text(draw: Draw) -> Made:
    """Bytes in a text that are none: half a character, one that is too long, one past the last."""
    field = draw.chance.choice(("event_id", "device_id", "type", "metrics", "attributes", "correlation_id"))
    said: Any = f"{_PLACEHOLDER}{draw.identity}"
    value = {"metrics": {said: 1.0}, "attributes": {"site": said}}.get(field, said)
    event = draw.of("no-text", **{field: value})
    return encode(event).replace(_PLACEHOLDER.encode(), draw.chance.choice(_NO_TEXT)), "no-text"
