"""One run of one writer: `python -m bench.writers`, with the `Work` as JSON on standard input; prints the `Run`."""

import sys
from contextlib import closing

import msgspec

from bench.writers.contenders import CONTENDERS
from bench.writers.work import Work, run

if __name__ == "__main__":
    work = msgspec.json.decode(sys.stdin.buffer.read(), type=Work)
    (contender,) = (one for one in CONTENDERS if one.name == work.contender)
    with closing(contender.connect(work)) as writer:
        sys.stdout.buffer.write(msgspec.json.encode(run(work, writer)))
