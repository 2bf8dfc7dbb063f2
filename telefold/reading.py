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
    def open(cls, settings: Settings | Path | str = DEFAULT_PATH, store: StoreName = "dynamodb") -> Self:
        """The views that a properties file names, read from its DynamoDB table or from its Redis.

        Raises SettingsError with every problem in the file.
        """
        loaded = settings if isinstance(settings, Settings) else job_settings.load(Path(settings))
        return cls(stores.open_reader(loaded, store), loaded.job.rollup_sizes)
