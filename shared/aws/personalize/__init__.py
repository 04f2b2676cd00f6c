"""Models of Amazon Personalize that two services read: events, runtime, exploration, recommendation ids."""
