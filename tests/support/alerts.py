"""What alerts must show, told again in the naive way: one rule that was always there, and all events of a device."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from telefold.schemas.events import DeviceEvent, heard_at
from telefold.schemas.rules import RuleChange

TICK_MS = 500


def await_in_force(change: RuleChange) -> None:
    """What is sent from now on is judged by a rule that was just put."""
    time.sleep(max(0, change.in_force_at / 1_000 + 0.1 - time.time()))


class NaiveRule(NamedTuple):
    """A rule in words of its own, and as the language has it."""

    kind: str
    """`above`, `below`, `rising` (a second), `grown` (in as many seconds) or `stale` (seconds)."""
    limit: int
    until: int | None = None
    hold_s: int = 0
    site: str | None = None
    metric: str | None = "t"
    quiet_s: int = 0
    over_s: int = 0

    @property
    def condition(self) -> str:
        written = {
            "above": f"{self.metric} > {self.limit}",
            "below": f"{self.metric} < {self.limit}",
            "rising": f"rate({self.metric}) > {self.limit}/s",
            "grown": f"increase({self.metric}) > {self.limit} over {self.over_s}s",
            "stale": f"stale({self.metric or ''}) > {self.limit}s",
        }[self.kind]
        if self.until is not None:
            per = "/s" if self.kind == "rising" else ""
            written += f" until {'>' if self.kind == 'below' else '<'} {self.until}{per}"
        if self.hold_s:
            written += f" for {self.hold_s}s"
        if self.quiet_s:
            written += f" quiet for {self.quiet_s}s"
        return written + (f' where site = "{self.site}"' if self.site else "")


class AlertOracle:
    """Looks at all readings so far whenever there is a new one, and for staleness lets the log's clock tick up to each
    event. Events tell a site, and are telemetry."""

    def __init__(self, rule: NaiveRule) -> None:
        self.rule = rule
        self.site: tuple[tuple[int, int, str], str] | None = None
        self.newest: tuple[int, int, str] | None = None
        self.readings: list[tuple[int, float]] = []
        """Those that were the newest when they came."""
        self.heard: int | None = None
        """When the metric was, or any."""
        self.episodes: list[dict[str, int]] = []
        self.quiet: int | None = None

    @property
    def open(self) -> dict[str, int] | None:
        return self.episodes[-1] if self.episodes and "resolved" not in self.episodes[-1] else None

    @property
    def states(self) -> list[str]:
        order = ("resolved", "fired", "pending")
        return [next(step for step in order if step in episode) for episode in self.episodes]

    def add(self, event: DeviceEvent) -> None:
        self.tick_to(heard_at(event))
        self.hear(event)

    def tick_to(self, time: int) -> None:
        if self.rule.kind == "stale" and self.heard is not None:
            for now in range(self.heard, time + 1, TICK_MS):
                self._tick(now)

    def _tick(self, now: int) -> None:
        if self._is_stale(now) and self._is_meant() and not self.open:
            self._begin(now)
        if self.open and "fired" not in self.open and now - self.open["pending"] >= self.rule.hold_s * 1_000:
            self.open["fired"] = now

    def hear(self, event: DeviceEvent) -> None:
        """For rules to which time means nothing."""
        moment, at, metric = (event.event_time, event.sequence, event.event_id), event.event_time, self.rule.metric
        moved = False
        if "site" in event.attributes and (self.site is None or moment > self.site[0]):
            moved = self.site is None or self.site[1] != event.attributes["site"]
            self.site = moment, event.attributes["site"]
        if moved and self.open and not self._is_meant():
            self._end(heard_at(event) if self.rule.kind == "stale" else at)
        if self.rule.kind == "stale":
            if event.metrics if metric is None else metric in event.metrics:
                self.heard = heard_at(event)
                if self.open:
                    self._end(self.heard)
            elif moved:
                self._tick(heard_at(event))
        elif metric is not None and metric in event.metrics and (self.newest is None or moment > self.newest):
            self.newest = moment
            self.readings.append((at, event.metrics[metric]))
            self._judge(at)
        elif moved and not self.open and self.readings:
            self._judge(max(at, self.readings[-1][0]))

    def _judge(self, at: int) -> None:
        value = self._value()
        if value is None or not self._is_meant():
            return
        sign = -1 if self.rule.kind == "below" else 1
        breaks = sign * value > sign * self.rule.limit
        if not self.open:
            if breaks:
                self._begin(at)
        elif "fired" not in self.open:
            if not breaks:
                self._end(at)
            elif at - self.open["pending"] >= self.rule.hold_s * 1_000:
                self.open["fired"] = at
        else:
            is_quiet = sign * value < sign * self.rule.until if self.rule.until is not None else not breaks
            self.quiet = (at if self.quiet is None else self.quiet) if is_quiet else None
            if self.quiet is not None and at - self.quiet >= self.rule.quiet_s * 1_000:
                self._end(at)

    def _is_stale(self, now: int) -> bool:
        return self.heard is not None and now - self.heard >= self.rule.limit * 1_000

    def _begin(self, at: int) -> None:
        self.quiet = None
        began = max(at, self.episodes[-1]["pending"] + 1) if self.episodes else at
        self.episodes.append({"pending": began} | ({"fired": began} if not self.rule.hold_s else {}))

    def _end(self, at: int) -> None:
        assert self.open
        self.open["resolved"] = max(at, *self.open.values())

    def _is_meant(self) -> bool:
        return self.rule.site is None or (self.site is not None and self.site[1] == self.rule.site)

    def _value(self) -> float | None:
        at, value = self.readings[-1]
        if self.rule.kind == "grown":
            return sum(self._growth(place) for place in range(len(self.readings)) if self._is_counted(place, at))
        if self.rule.kind != "rising":
            return value
        before = [reading for reading in self.readings if reading[0] != at]
        if not before:
            return None
        first_of_its_time = next(reading for reading in self.readings if reading[0] == at)
        return (first_of_its_time[1] - before[-1][1]) / ((at - before[-1][0]) / 1_000)

    def _is_counted(self, place: int, at: int) -> bool:
        part = -(-self.rule.over_s * 1_000 // 64)
        return self.readings[place][0] // part > at // part - self.rule.over_s * 1_000 // part

    def _growth(self, place: int) -> float:
        value, before = self.readings[place][1], self.readings[place - 1][1] if place else self.readings[place][1]
        return value - before if value >= before else value


def told(events: Sequence[DeviceEvent], rule: NaiveRule, end: int) -> AlertOracle:
    oracle = AlertOracle(rule)
    for event in events:
        oracle.add(event)
    oracle.tick_to(end)
    return oracle
