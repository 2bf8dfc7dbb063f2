"""Judges of the rows of folds in Python, written from what is promised, not from the job's code.

`device`, `presence`, `alert`, `fleet` and `group_rollups` each say one view, `own` runs a team's folds, and `whole`
runs all of them over a log. None shares a line with the job.
"""
