"""Where a cluster begins: it runs this file with `dep/` on the path of this Python and of those that work for the job.

The cluster, not this program, says how often and where checkpoints are taken, in which state backend, and at which
parallelism: on managed Flink those are the application's settings.
"""

from jobs.managed import main

main()
