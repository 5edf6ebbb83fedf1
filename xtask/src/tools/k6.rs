//! The k6 load generator: finds it, runs a script, parses its summary. Knows nothing of metrics.
