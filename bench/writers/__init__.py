"""The writers that the benchmark of the view stores compares, and one run of one of them."""
