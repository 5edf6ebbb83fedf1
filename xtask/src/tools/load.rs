//! The light load driver of `thoughtgate-test`: runs it, parses its histogram. Knows nothing of metrics.
