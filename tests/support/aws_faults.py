"""What DynamoDB and Kinesis do to some of their callers: refuse, refuse in part, do and never say so, take long."""

import json
import random
import threading
import time
from collections.abc import Callable, Sequence

from tests.support.fault_proxy import Answer, Forward, Request

Act = Callable[[Request, Forward], Answer | None]
STATEMENT_THROTTLED = {"Code": "ThrottlingError", "Message": "said by the fault proxy"}


class Faulty:
    """A fault that strikes a `share` (0 to 1) of the calls of `operations`; `struck` is how many so far."""

    def __init__(self, act: Act, operations: Sequence[str], share: float, seed: int = 0) -> None:
        self._act = act
        self._operations = frozenset(operations)
        self._share = share
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self.struck = 0

    def __call__(self, request: Request, forward: Forward) -> Answer | None:
        if request.operation not in self._operations or not self._strikes():
            return forward(request)
        return self._act(request, forward)

    def _strikes(self) -> bool:
        with self._lock:
            strikes = self._chance.random() < self._share
            self.struck += strikes
        return strikes


def refused(code: str) -> Act:
    """The call is refused with AWS's error `code` and has done nothing."""
    body = json.dumps({"__type": f"com.amazonaws#{code}", "message": "said by the fault proxy"}).encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code}
    return lambda request, forward: Answer(400, headers, body)


def answer_lost(request: Request, forward: Forward) -> None:
    """The call is done, but whoever made it never hears so."""
    forward(request)


def delayed(seconds: float) -> Act:
    def act(request: Request, forward: Forward) -> Answer:
        time.sleep(seconds)
        return forward(request)

    return act


def partly_refused(request: Request, forward: Forward) -> Answer:
    """Every other statement of a BatchExecuteStatement is throttled, the rest is done."""
    statements = json.loads(request.body)["Statements"]
    if len(statements) == 1:
        return _answered([{"Error": STATEMENT_THROTTLED}])
    answer = forward(request._replace(body=json.dumps({"Statements": statements[::2]}).encode()))
    if answer.status != 200:
        return answer
    done = iter(json.loads(answer.body)["Responses"])
    return _answered([{"Error": STATEMENT_THROTTLED} if index % 2 else next(done) for index in range(len(statements))])


def _answered(responses: Sequence[object]) -> Answer:
    headers = {"Content-Type": "application/x-amz-json-1.0"}
    return Answer(200, headers, json.dumps({"Responses": responses}).encode())
