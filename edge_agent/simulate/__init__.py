"""Clip'R sensors and a packet forwarder made of software: a gateway can be proven without a sensor."""
