"""Model selection: candidate methods, tried and blended on held-out users of the shop itself."""
