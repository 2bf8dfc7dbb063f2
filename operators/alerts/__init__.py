"""Rules of alerts: what they say, and which of them concern a device. Pure."""
