"""A Flink cluster on this machine, of processes like those of a real one, and jobs handed to it as a zip."""
