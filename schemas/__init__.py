"""The contracts of Telefold: events, view rows, their encodings and the errors. No Flink, no I/O."""
