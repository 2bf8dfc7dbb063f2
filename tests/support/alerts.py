"""What alerts must show, told again in the naive way: one rule, and the whole list of a device's events."""

from collections.abc import Sequence
from typing import NamedTuple

from schemas.events import DeviceEvent

TICK_MS = 500


class NaiveRule(NamedTuple):
    """A rule in words of its own, and as the language has it."""

    kind: str
    """`above`, `below`, `rising` (a second) or `stale` (seconds)."""
    limit: int
    until: int | None = None
    hold_s: int = 0
    site: str | None = None
    metric: str | None = "t"

    @property
    def condition(self) -> str:
        written = {
            "above": f"{self.metric} > {self.limit}",
            "below": f"{self.metric} < {self.limit}",
            "rising": f"rate({self.metric}) > {self.limit}/s",
            "stale": f"stale({self.metric or ''}) > {self.limit}s",
        }[self.kind]
        if self.until is not None:
            per = "/s" if self.kind == "rising" else ""
            written += f" until {'>' if self.kind == 'below' else '<'} {self.until}{per}"
        if self.hold_s:
            written += f" for {self.hold_s}s"
        return written + (f' where site = "{self.site}"' if self.site else "")


class AlertOracle:
    """Lets the clock tick up to each event and asks at every tick what the rule says. Times are whole seconds."""

    def __init__(self, rule: NaiveRule) -> None:
        self.rule = rule
        self.site: tuple[tuple[int, int], str] | None = None
        self.readings: list[tuple[int, float]] = []
        self.newest: tuple[int, int, str] | None = None
        self.rate: float | None = None
        """A second; of readings of one time, that of the first to come."""
        self.reports: list[int] = []
        self.episodes: list[dict[str, int]] = []

    @property
    def open(self) -> dict[str, int] | None:
        return self.episodes[-1] if self.episodes and "resolved" not in self.episodes[-1] else None

    @property
    def states(self) -> list[str]:
        order = ("resolved", "fired", "pending")
        return [next(step for step in order if step in episode) for episode in self.episodes]

    def add(self, event: DeviceEvent) -> None:
        self.tick_to(event.event_time)
        self.hear(event)

    def hear(self, event: DeviceEvent) -> None:
        """For rules to which time means nothing."""
        if "site" in event.attributes and (self.site is None or (event.event_time, event.sequence) >= self.site[0]):
            moved = self.site is None or self.site[1] != event.attributes["site"]
            if moved:
                self.site = ((event.event_time, event.sequence), event.attributes["site"])
                self._moved(event.event_time)
        self._hear(event)

    def tick_to(self, time: int) -> None:
        for now in range(0, time + 1, TICK_MS):
            self._tick(now)

    def _tick(self, now: int) -> None:
        if self._is_stale(now) and self._is_meant() and not self.open:
            self._begin(now)
        if self.open and "fired" not in self.open and now - self.open["pending"] >= self.rule.hold_s * 1_000:
            self.open["fired"] = now

    def _hear(self, event: DeviceEvent) -> None:
        at = event.event_time
        if event.metrics and (not self.reports or at > self.reports[-1]):
            self.reports.append(at)
        metric = self.rule.metric or ""
        moment = at, event.sequence, event.event_id
        if metric in event.metrics and (self.newest is None or moment > self.newest):
            self._read(at, event.metrics[metric])
            self.newest = moment
            self._judge(at)
        if self.rule.kind == "stale" and self.open and not self._is_stale(self.open["pending"]):
            self.open["resolved"] = max(at, *self.open.values())

    def _read(self, at: int, value: float) -> None:
        if self.readings and self.readings[-1][0] != at:
            before_at, before = self.readings[-1]
            self.rate = (value - before) / ((at - before_at) / 1_000)
        self.readings.append((at, value))

    def _judge(self, at: int) -> None:
        value = self._value()
        if self.rule.kind == "stale" or value is None or not self._is_meant():
            return
        sign = -1 if self.rule.kind == "below" else 1
        breaks = sign * value > sign * self.rule.limit
        if self.open:
            until = self.rule.until if "fired" in self.open else None
            if sign * value < sign * until if until is not None else not breaks:
                self.open["resolved"] = max(at, *self.open.values())
        elif breaks:
            self._begin(at)

    def _moved(self, at: int) -> None:
        if not self._is_meant():
            if self.open:
                self.open["resolved"] = max(at, *self.open.values())
            return
        self._judge(at)
        if self._is_stale(at) and not self.open:
            self._begin(at)

    def _is_stale(self, now: int) -> bool:
        last = self._last()
        return self.rule.kind == "stale" and last is not None and now - last >= self.rule.limit * 1_000

    def _begin(self, at: int) -> None:
        self.episodes.append({"pending": at} | ({"fired": at} if not self.rule.hold_s else {}))

    def _is_meant(self) -> bool:
        return self.rule.site is None or (self.site is not None and self.site[1] == self.rule.site)

    def _last(self) -> int | None:
        times = self.reports if self.rule.metric is None else [at for at, _ in self.readings]
        return times[-1] if times else None

    def _value(self) -> float | None:
        if self.rule.kind == "rising":
            return self.rate
        return self.readings[-1][1] if self.readings else None


def told(events: Sequence[DeviceEvent], rule: NaiveRule, end: int) -> AlertOracle:
    oracle = AlertOracle(rule)
    for event in events:
        oracle.add(event)
    oracle.tick_to(end)
    return oracle
