"""LoRaWAN link layer, pure and sans-io; one module is one noun of the specification."""
