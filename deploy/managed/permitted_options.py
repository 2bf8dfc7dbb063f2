"""Flink's options that a job may set by itself on managed Flink: from 2.2 on the service fails one that sets another.

The list is AWS's, "Programmatic Flink configuration properties" in the developer guide of Managed Service for Apache
Flink (https://docs.aws.amazon.com/managed-flink/latest/java/programmatic-configuration.html), without those of the
Table API, which no job here uses.
"""

PERMITTED = frozenset(
    {
        "execution.runtime-mode",
        "pipeline.auto-generate-uids",
        "pipeline.auto-watermark-interval",
        "pipeline.cached-files",
        "pipeline.classpaths",
        "pipeline.closure-cleaner-level",
        "pipeline.force-avro",
        "pipeline.force-kryo",
        "pipeline.generic-types",
        "pipeline.global-job-parameters",
        "pipeline.jars",
        "pipeline.jobvertex-parallelism-overrides",
        "pipeline.max-parallelism",
        "pipeline.name",
        "pipeline.object-reuse",
        "pipeline.operator-chaining.chain-operators-with-different-max-parallelism",
        "pipeline.operator-chaining.enabled",
        "pipeline.serialization-config",
        "pipeline.vertex-description-mode",
        "pipeline.vertex-name-include-index-prefix",
        "pipeline.watermark-alignment.allow-unaligned-source-splits",
        "python.execution-mode",
        "python.internal.archives-key-map",
        "python.internal.files-key-map",
        "python.internal.requirements-file-key",
        "python.job-options",
        "python.operator-chaining.enabled",
    }
)
