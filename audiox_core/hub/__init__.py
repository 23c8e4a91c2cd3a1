"""The released models: where they are on the hub, and how to download them."""
