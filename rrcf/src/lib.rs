//! Exact Robust Random Cut Forest for streaming anomaly detection: collusive displacement over a sliding window, deterministic, with bit-exact snapshots
