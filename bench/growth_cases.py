"""The cases of the growth benchmark, and what one of them gave."""

from typing import NamedTuple

import msgspec

from bench.log import SPAN_MS, Fleet
from telefold.planning import sizing

_FEWEST_EVENTS = 500_000
_EVENTS_A_DEVICE = 3


class Case(NamedTuple):
    """Differs in one thing from the first of `CASES`."""

    name: str
    fleet: Fleet = Fleet()
    parallelism: int = 1

    @property
    def events(self) -> int:
        """Enough for every device to report a few times."""
        return max(_FEWEST_EVENTS, _EVENTS_A_DEVICE * self.fleet.devices)


CASES = (
    Case("base"),
    *(Case(f"devices-{label}", Fleet(devices=devices)) for label, devices in
      (("1k", 1_000), ("10k", 10_000), ("100k", 100_000), ("1m", 1_000_000))),
    *(Case(f"metrics-{metrics}", Fleet(metrics=metrics)) for metrics in (1, 5, 20)),
    Case("parallelism-2", parallelism=2),
    Case("hot-device", Fleet(hot_share=0.5)),
)  # fmt: skip


class Figures(msgspec.Struct, frozen=True):
    """Medians over the runs of one case; names and units are those of `bench.growth_job`."""

    name: str
    fleet: Fleet
    parallelism: int
    events: int
    runs: int
    rate: float
    warm_rate: float
    warm_cpu_s: float
    warm_rows: float
    peak_mb: int
    state_bytes: int
    checkpoint_bytes: int
    checkpoint_s: float
    slowest_checkpoint_s: float
    start_s: float
    restore_s: float
    state_restore_s: float

    @property
    def serialised_bytes(self) -> float:
        """What the state of the case's hour holds, before RocksDB stores it."""
        return sum(sizing.serialised_state(part, SPAN_MS, SPAN_MS) for part in self._parts())

    def predicted_state_bytes(self, costs: sizing.Costs) -> float:
        return self.serialised_bytes * costs.state_ratio

    def predicted_cpu_s(self, costs: sizing.Costs) -> float:
        """CPU seconds a million events; the benchmark's rows go to no store, and cost no store's client."""
        return sizing.fold_us(costs, self._parts()[0], self.warm_rows)

    def _parts(self) -> list[sizing.Fleet]:
        """Devices that report equally often."""
        devices, metrics, hot_share, _ = self.fleet
        hot = 1 if hot_share else 0
        seconds = SPAN_MS / 1000 / self.events
        shares = ((hot, hot_share), (devices - hot, 1 - hot_share))
        return [sizing.Fleet(count, seconds * count / share, metrics) for count, share in shares if count]
