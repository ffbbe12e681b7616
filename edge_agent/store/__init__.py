"""The encrypted store on the gateway."""
