//! The binary under measurement as a process: configured, started, probed, stopped. Knows nothing of metrics.
