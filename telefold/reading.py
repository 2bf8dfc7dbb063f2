"""The views as a program reads them."""

from pathlib import Path
from typing import Self

from telefold.jobs import settings as job_settings
from telefold.jobs import stores
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.jobs.settings import Settings
from telefold.jobs.stores import StoreName
from telefold.views import reader


class Views(reader.Views):
    """The reader of views, `views.reader.Views`, which opens itself."""

    @classmethod
    def open(cls, settings: Settings | Path | str = DEFAULT_PATH, store: StoreName | None = None) -> Self:
        """The views that a properties file names: what is hot from its Redis, the rest from its DynamoDB table.

        With a `store` all is read from that one.

        Raises SettingsError with every problem in the file.
        """
        loaded = settings if isinstance(settings, Settings) else job_settings.load(Path(settings))
        reader = stores.open_views_reader(loaded) if store is None else stores.open_reader(loaded, store)
        return cls(reader, loaded.job.rollup_sizes)
