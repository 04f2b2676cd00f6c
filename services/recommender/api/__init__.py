"""HTTP: REST for storefronts, the runtime API of Amazon Personalize, and the short way for busy routes."""
