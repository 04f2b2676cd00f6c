"""Programs that use Endcap as its customers do: over the public API."""
