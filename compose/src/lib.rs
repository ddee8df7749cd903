//! The servers Thicket needs (Redis, Mosquitto, PostgreSQL, Prometheus), started natively and privately from the same configuration files as the containers
