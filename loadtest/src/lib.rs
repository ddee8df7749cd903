//! Synthetic city sounds, their replay as sensor readings over MQTT, and the reconciliation of what was published with what was stored
