"""CloudFormation and managed Flink, emulated over HTTP: states, versions, and failures on order."""
