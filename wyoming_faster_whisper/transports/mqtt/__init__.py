"""MQTT transport: satellites that speak Hermes, and events for Home Assistant."""
