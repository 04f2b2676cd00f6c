"""HTTP: REST for storefronts with its fast path, and the runtime API of Amazon Personalize."""
