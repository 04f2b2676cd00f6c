"""The demo shop: server-rendered pages over a catalogue in Endcap.

It imports nothing of Endcap. Pages read the catalogue and send orders over the public API; the storefront kit
sends what a visitor does and shows what Endcap recommends.
"""
