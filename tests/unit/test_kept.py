"""What a server of the local stack keeps in its file."""

from contextlib import suppress
from pathlib import Path

from telefold.deploy.local.kept import Kept


def test_of_what_is_put_together_all_is_there_or_nothing(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept")
    with kept.together():
        kept.put("table", "a", b"1")
    with suppress(KeyError), kept.together():
        kept.put("table", "b", b"2")
        kept.remove("table", "a")
        raise KeyError
    assert list(Kept(tmp_path / "kept").values("table")) == [b"1"]
