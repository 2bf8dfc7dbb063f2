"""The record of an archive file."""

from importlib.resources import files

SCHEMA_TEXT = files("telefold.schemas").joinpath("archived_record.avsc").read_text("utf-8")
"""The .avsc, as the JVM writes with it too."""
