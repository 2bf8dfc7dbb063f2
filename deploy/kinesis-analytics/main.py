"""The program that a cluster runs, with `dep/` on the path of this Python and of those that work for the job.

The cluster, not this program, says how often and where checkpoints are taken, in which state backend, and at which
parallelism: on managed Flink those are the application's settings.
"""

from telefold.jobs.entry import main

main()
