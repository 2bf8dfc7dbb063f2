"""One run of one contender: `python -m bench.peers MODULE`, the `Work` as JSON on standard input."""

import sys
from importlib import import_module
from typing import cast

import msgspec

from bench.peers.work import Peer, Work, adopt_orphans

if __name__ == "__main__":
    adopt_orphans()
    work = msgspec.json.decode(sys.stdin.buffer.read(), type=Work)
    peer = cast(Peer, import_module(f"bench.peers.{sys.argv[1]}"))
    work.timing.write_bytes(msgspec.json.encode(peer.run(work)))
