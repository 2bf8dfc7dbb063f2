"""Places of Telefold's files that are no Python: in a checkout, or beside the modules of an installed package."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds `jobs`, `deploy` and the others: a checkout's, or that of the installed package `telefold`."""

LIBRARY = ROOT / "lib"
JAR = LIBRARY / "pyflink-dependencies.jar"
"""The part of the job that is written in Java."""
TEMPLATES = ROOT / "deploy" / "kinesis-analytics"
"""The templates for AWS, and what is at the top of the zip."""
