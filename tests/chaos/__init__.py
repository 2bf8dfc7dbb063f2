"""A random schedule of failures on the cluster of this machine, after which every row must be right: `make chaos`."""
