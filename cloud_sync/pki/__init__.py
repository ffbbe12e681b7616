"""Keys and certificates of the cloud side."""
