"""Telefold on Managed Service for Apache Flink: stacks, packages, releases, and whether the job works."""
