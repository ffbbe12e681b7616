"""The daemon on the gateway: LoRaWAN frames in, readings kept and carried to the cloud."""
