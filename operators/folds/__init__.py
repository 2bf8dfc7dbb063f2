"""Folds in Python: pure logic, without Flink and without I/O."""
