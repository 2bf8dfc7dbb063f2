"""The contenders of the throughput benchmark: each module folds a whole `Work` with `run` and says how long it took."""
