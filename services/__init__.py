"""The services. They never import each other: they exchange events, versioned views and HTTP."""
