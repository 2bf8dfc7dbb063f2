"""Jobs on this machine: the JVM, Flink's mini-cluster in it, its checkpoints and what it reports."""
