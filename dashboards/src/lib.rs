//! Grafana dashboards and Prometheus rules of Thicket, and the tests that run their queries
